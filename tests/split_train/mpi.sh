#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# mpi.sh SPLIT_TRAIN: the processes of an MPI job give what one process gives that simulates them, as a
# test. MPIEXEC (mpiexec) starts them.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/folder.sh"
source "$here/same_files.sh"
launcher=$here/../mpi/job.sh
slurm=$here/../../examples/slurm

if ! "$program" --version | grep -q '^MPI: built in'; then
  must_refuse "--link mpi: this program was built without MPI" --link mpi
  exit
fi
command -v "${MPIEXEC:-mpiexec}" >/dev/null || { echo "skipped: there is no ${MPIEXEC:-mpiexec}"; exit 77; }

images 24 >train.bin
images 16 >test.bin
common=(--data cifar:train.bin,test.bin --batch 4 --steps 3 --threads 1 --progress none --seed 1)

# job PROCESSES OPTIONS...
job() {
  timeout 120 "$launcher" "$1" "$program" --link mpi "${common[@]}" "${@:2}" >out 2>err
}

# train NAME CLIENTS OPTIONS...: simulated, and by a job.
train() {
  local name=$1
  "$program" --clients "$2" "${common[@]}" "${@:3}" --out "simulated-$name" >table
  job $(($2 + 1)) "${@:3}" --out "served-$name" || fail "$name: the job ended with $?: $(cat out err)"
  same "$name"
  [[ $(grep -c "^report: " out) == 1 ]] || fail "$name: not one process says where the report is: $(cat out)"
}
train shared 4 --partition dirichlet:0.5 --average-every 2
train averaged 3 --sharing averaged --average-every 2 --compress adc:0.3
train relay 2 --sharing relay --turn 2 --augment flip
train alone 1 --compress adc:0.3@q:8

# The script for Slurm, with a launcher that stands for srun.
mkdir bin
printf '#!/bin/sh\n[ "$1" = --mpi=pmix ] || exit 2\nshift\nexec "%s" "$SLURM_NTASKS" "$@"\n' "$launcher" >bin/srun
chmod +x bin/srun
"$program" --clients 2 "${common[@]}" --out simulated-slurm >table
PATH=$PWD/bin:$PATH SLURM_NTASKS=3 SPLIT_TRAIN=$program timeout 120 \
  bash "$slurm/mpi.sbatch" "${common[@]:0:6}" --progress none --seed 1 --out served-slurm >out 2>err ||
  fail "mpi.sbatch ended with $?: $(cat out err)"
same slurm

# A job that cannot begin ends at once, all of it.
job 3 --clients 7 && fail "7 clients in 3 processes"
grep -qF -- "--clients 7: this job has 3 processes, a server and 2 clients" err || fail "$(cat err)"
job 3 --data cifar:train.bin,none.bin && fail "there is no such file"
grep -q "none.bin" err || fail "$(cat err)"
# So does one of which a single client fails.
printf '#!/bin/sh\n[ "$PMI_RANK$OMPI_COMM_WORLD_RANK" != 2 ] || set -- "$@" --lr 0.5\nexec "%s" "$@"\n' \
  "$program" >one_differs
chmod +x one_differs
timeout 60 "$launcher" 3 ./one_differs --link mpi "${common[@]}" >out 2>err && fail "a client failed, and the job did not"
grep -q "lr: the client has 0.5, the server has 0.001" out err || fail "$(cat out err)"

must_refuse "--link mpi: this job has one process" --link mpi
must_refuse "--link mpi goes without --role and --client" --link mpi --role server --listen localhost:0
if SLURM_NTASKS=5 "$program" --link mpi >out 2>err; then fail "one process of five"; fi
grep -qF "this process is alone, but SLURM_NTASKS is 5" err || fail "$(cat err)"
