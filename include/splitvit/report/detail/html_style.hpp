// SPDX-License-Identifier: MIT
#pragma once

#include <string>       // string
#include <string_view>  // string_view

#include <splitvit/report/detail/svg_style.hpp>  // colour_rules, dark_palette

// The style sheet of a report page: light, dark, narrow and on paper.

namespace splitvit::report::detail {

inline constexpr std::string_view page_rules = R"(:root{color-scheme:light dark;
--page:#f4f6f8;--card:#fff;--ink:#232a35;--strong:#0d1219;--soft:#5a6575;--rule:#dde2e8;--mark:#0a5aa8}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif}
main{max-width:1200px;margin:0 auto;padding:2.2rem 1.2rem 3rem}
header p{margin:0;color:var(--soft)}
h1{margin:.35rem 0 1.7rem;max-width:34em;font-size:clamp(1.35rem,2.4vw + .7rem,2.1rem);line-height:1.25;
font-weight:650;letter-spacing:-.012em;color:var(--strong);border-left:5px solid var(--mark);padding-left:.9rem}
h2{margin:2.2rem 0 .8rem;font-size:1.15rem;color:var(--strong)}
.card{background:var(--card);border:1px solid var(--rule);border-radius:10px}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.88rem;font-variant-numeric:tabular-nums}
th,td{padding:.5rem .6rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--rule)}
thead th{font-weight:600;color:var(--soft);vertical-align:bottom}
tbody tr:last-child>*{border-bottom:0}
th:first-child,td:first-child{padding-left:.9rem}th:last-child,td:last-child{padding-right:.9rem}
th:first-child{text-align:left;position:sticky;left:0;background:var(--card);color:var(--strong)}
td.text{text-align:left;white-space:normal}
.note{color:var(--soft);font-size:.88rem;max-width:62em}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,430px),1fr));gap:1rem;align-items:start}
figure{margin:0;padding:.9rem .9rem .5rem;break-inside:avoid}
figure svg{display:block;width:100%;height:auto}
dl{display:grid;grid-template-columns:minmax(8rem,max-content) 1fr;gap:.35rem 1.2rem;margin:0}
dt{font-weight:600;color:var(--strong)}
dd{margin:0}
.explained{padding:1rem 1.2rem}
@media (max-width:560px){main{padding:1.3rem .7rem 2rem}th,td{padding:.45rem .55rem}
figure{padding:.6rem .4rem .3rem}dl{grid-template-columns:1fr;gap:.1rem}dd{margin-bottom:.6rem}}
@media print{body{background:none;font-size:10.5pt}main{max-width:none;padding:0}.wide{overflow:visible}
table{font-size:8pt}th,td{padding:.2rem .35rem}
.charts{grid-template-columns:1fr 1fr}h2{break-after:avoid}.card{border-color:#bbb}}
)";

inline std::string page_style() {
  return std::string{page_rules} +
         "@media screen and (prefers-color-scheme:dark){:root{--page:#0f1217;--card:" +
         std::string{dark_palette.paper} +
         ";--ink:#c6ceda;--strong:#f2f5f9;--soft:#98a3b3;--rule:#2b323d;--mark:#5fb0f0}\n" +
         colour_rules(dark_palette, ".card .sv") + "}\n";
}

}  // namespace splitvit::report::detail
