# A target is tests/fuzz/fuzz_NAME.c with its corpus in tests/fuzz/corpus/NAME, and two lines:
#   fuzz_programs += tests/fuzz/fuzz_NAME
#   tests_fuzz_fuzz_NAME_LDADD = $(fuzz_ldadd)
# With --enable-fuzzer it is a libFuzzer program, otherwise a test that replays its corpus.

fuzz_programs =
fuzz_programs += tests/fuzz/fuzz_capture
tests_fuzz_fuzz_capture_LDADD = $(fuzz_ldadd)
fuzz_programs += tests/fuzz/fuzz_dns_msg
tests_fuzz_fuzz_dns_msg_LDADD = $(fuzz_ldadd)
fuzz_programs += tests/fuzz/fuzz_flow_log
tests_fuzz_fuzz_flow_log_LDADD = $(fuzz_ldadd)
fuzz_programs += tests/fuzz/fuzz_handshake
tests_fuzz_fuzz_handshake_LDADD = $(fuzz_ldadd)
fuzz_programs += tests/fuzz/fuzz_json
tests_fuzz_fuzz_json_LDADD = $(fuzz_ldadd)
fuzz_programs += tests/fuzz/fuzz_options
tests_fuzz_fuzz_options_LDADD = $(fuzz_ldadd)
fuzz_programs += tests/fuzz/fuzz_sniff
tests_fuzz_fuzz_sniff_LDADD = $(fuzz_ldadd)
fuzz_programs += tests/fuzz/fuzz_socks5_udp
tests_fuzz_fuzz_socks5_udp_LDADD = $(fuzz_ldadd)
fuzz_programs += tests/fuzz/fuzz_stack
tests_fuzz_fuzz_stack_SOURCES = tests/fuzz/fuzz_stack.c $(peer_sources)
tests_fuzz_fuzz_stack_LDADD = $(fuzz_ldadd)
fuzz_programs += tests/fuzz/fuzz_toml
tests_fuzz_fuzz_toml_LDADD = $(fuzz_ldadd)
EXTRA_DIST += tests/fuzz/corpus tests/fuzz/fuzz.h

if ENABLE_FUZZER
noinst_PROGRAMS += $(fuzz_programs)
fuzz_ldadd = $(LDADD) $(CF_FUZZER)
else
check_PROGRAMS += $(fuzz_programs)
check_LIBRARIES += tests/fuzz/libreplay.a
tests_fuzz_libreplay_a_SOURCES = tests/fuzz/replay.c
fuzz_ldadd = tests/fuzz/libreplay.a $(LDADD)
endif
