check_PROGRAMS += \
	tests/unit/dial/test_chain \
	tests/unit/dial/test_handshake \
	tests/unit/dial/test_sock \
	tests/unit/dial/test_socks5_udp \
	tests/unit/dial/test_tls \
	$(NULL)
tests_unit_dial_test_tls_SOURCES = tests/unit/dial/test_tls.c tests/unit/dial/certificates.h
tests_unit_dial_test_tls_LDADD = $(LDADD) $(WOLFSSL_LIBS)
