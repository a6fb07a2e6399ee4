# Everything under test speaks TAP. `make check` runs all of it, `make check-unit` only what
# is compiled: unit tests and the replayed fuzz corpora.

LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_COMPILER = $(top_srcdir)/tests/tap/run
AM_TESTS_ENVIRONMENT = \
	CMOCKA_MESSAGE_OUTPUT=TAP; export CMOCKA_MESSAGE_OUTPUT; \
	CHILDFLOW='$(abs_top_builddir)/childflow'; export CHILDFLOW; \
	TOP_SRCDIR='$(abs_top_srcdir)'; export TOP_SRCDIR; \
	PYTHON3='$(PYTHON3)'; export PYTHON3; \
	PYTHONDONTWRITEBYTECODE=1; export PYTHONDONTWRITEBYTECODE;

script_tests = tests/lint/run tests/bench/selftest tests/integration/run
TESTS = $(check_PROGRAMS) $(script_tests)
EXTRA_DIST += tests/tap tests/lint tests/integration tests/demo tests/may-skip.txt

# The benchmarks, run by hand: make bench BENCH='-r 5 -m tcp,udp'. Only their arithmetic is tested.
BENCH =
EXTRA_PROGRAMS += tests/bench/load tests/bench/delay
tests_bench_load_SOURCES = tests/bench/load.c tests/bench/load.h tests/bench/origin.c \
	tests/bench/stream.c
tests_bench_load_LDADD =
tests_bench_delay_SOURCES = tests/bench/delay.c
tests_bench_delay_LDADD =
EXTRA_DIST += tests/bench/bench.py tests/bench/canned.json tests/bench/chart.py \
	tests/bench/contenders.py tests/bench/metrics.py tests/bench/report.py \
	tests/bench/selftest tests/bench/soak.py tests/bench/world.py
CLEANFILES += $(EXTRA_PROGRAMS)
bench: childflow tests/bench/load tests/bench/delay
	@PYTHONDONTWRITEBYTECODE=1 $(top_srcdir)/tests/bench/bench.py \
		--build '$(abs_top_builddir)' $(BENCH)
clean-local:
	-rm -rf bench

if HAVE_CMOCKA
include tests/unit/unit.mk
else
check_DATA += cmocka-is-missing
cmocka-is-missing:
	@echo "make check needs cmocka (Debian: libcmocka-dev); then run configure again" >&2
	@exit 1
endif
include tests/fuzz/fuzz.mk
include tests/bench/bench.mk

check-unit:
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(check_PROGRAMS)'

# Breaks the sources one by one and sees tests go red. Takes minutes.
check-mutants:
	$(PYTHON3) $(srcdir)/tests/lint/mutants/run --srcdir $(srcdir)

# Formatting follows clang-format's version, so this is no part of `make check`.
format-check:
	@test -n "$(CLANG_FORMAT)" || { echo "clang-format is missing" >&2; exit 1; }
	cd $(top_srcdir) && find src netif tests -name '*.[ch]' -exec \
		$(CLANG_FORMAT) --dry-run -Werror {} +

.PHONY: bench check-mutants check-unit format-check
