#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# job.sh PROCESSES PROGRAM...: runs an MPI job, as root and on fewer cores than it has processes, too.
# MPIEXEC (mpiexec) starts it.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
exec "${MPIEXEC:-mpiexec}" -n "$@"
