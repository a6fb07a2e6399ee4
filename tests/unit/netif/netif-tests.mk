check_PROGRAMS += \
	tests/unit/netif/test_packet \
	tests/unit/netif/test_reass \
	tests/unit/netif/test_stack \
	tests/unit/netif/test_stack_end \
	tests/unit/netif/test_stack_icmp \
	tests/unit/netif/test_stack_memory \
	tests/unit/netif/test_stack_tcp \
	tests/unit/netif/test_storm \
	$(NULL)

peer_sources = tests/unit/netif/peer.c tests/unit/netif/peer.h
tests_unit_netif_test_stack_SOURCES = tests/unit/netif/test_stack.c $(peer_sources)
tests_unit_netif_test_stack_icmp_SOURCES = tests/unit/netif/test_stack_icmp.c $(peer_sources)
tests_unit_netif_test_stack_memory_SOURCES = tests/unit/netif/test_stack_memory.c $(peer_sources)
tcp_side_sources = tests/unit/netif/tcp_side.c tests/unit/netif/tcp_side.h $(peer_sources)
tests_unit_netif_test_stack_end_SOURCES = tests/unit/netif/test_stack_end.c $(tcp_side_sources)
tests_unit_netif_test_stack_tcp_SOURCES = tests/unit/netif/test_stack_tcp.c $(tcp_side_sources)
tests_unit_netif_test_storm_SOURCES = tests/unit/netif/test_storm.c $(peer_sources)
