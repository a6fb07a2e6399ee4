# What one decision of the policy costs, for people to compare; no part of `make check`.
EXTRA_PROGRAMS += tests/bench/bench_policy

bench-policy: tests/bench/bench_policy$(EXEEXT)
	tests/bench/bench_policy$(EXEEXT)

.PHONY: bench-policy
