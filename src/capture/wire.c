/*
 * Theory of operation
 *
 * libpcap reads the interface of the host's default route, on which other programs speak as
 * well: a packet counts only when it belongs to a socket of this run. The rooms that open
 * sockets tell of each (base/sockwatch.h) before what it sends can be read here, so nothing
 * has to wait for an answer to the question whose it is.
 *
 * - TCP: the four-tuple, which nobody else can have while ours lives, nor for some time
 *   after. Somebody who has it later begins with a SYN that no socket of ours has
 *   announced: then the tuple is his.
 * - UDP: the local port, from the time at which the socket had it until it is closed.
 * - Pieces of a fragmented packet: the first one says whose they are.
 * - ICMP: the identifier of an echo, as UDP's port; errors, if what they quote is ours.
 *
 * The kernel's filter only keeps out what can't be ours: packets with neither end in the
 * range of ports that it gives to sockets. It needs no change when sockets come and go, and
 * so loses none. Not promiscuous: what is ours comes without.
 *
 * Packets are as the interface's driver gets them: its super-segments stay whole, and
 * checksums that hardware would fill in are filled in here.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "capture/capture_internal.h"
#include "capture/pcaplib.h"

#define SNAPLEN 262144
#define BUFFER_BYTES (16 << 20)
/* The kernel hands packets over in blocks, of which none waits longer. */
#define BLOCK_MS 10
#define BATCH 256
/* Headers of a first piece. */
#define PIECE_MAX (CUT_ETH_LEN + 60 + 40)
#define PORT_RANGE "/proc/sys/net/ipv4/ip_local_port_range"

/* What the pieces of a fragmented packet have in common. */
struct piece {
	bool known, v4, outbound;
	uint8_t addrs[32];
	uint32_t id;
};

struct wire {
	struct sock_watch watch;
	struct capture *capture;
	pcap_t *pcap;
	bool raw; /* no Ethernet header */
	char device[IF_NAMESIZE];
	struct known_flows *sockets; /* child: their local end, remote: their peer */
	uv_poll_t poll;
	bool polls;
	struct piece pieces[64]; /* packets whose first piece was ours */
	unsigned next_piece;
	struct known_flow of_pieces; /* stands for who has sent them */
	uint8_t frame[SNAPLEN + CUT_ETH_LEN];
};

/* --- sockets --- */

/* The peer of a socket that has none of its own. */
static const struct endpoint nobody;

static void forget(void *ctx, struct known_flow *f)
{
	(void)ctx;
	(void)f;
}

static struct addr any_of(const struct addr *a)
{
	return addr_is_v4(a) ? addr_from_v4("\0\0\0\0") : (struct addr){ 0 };
}

static bool ends_of(int fd, uint8_t *protocol, struct endpoint *local,
		    struct endpoint *peer)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(int);
	int p;

	if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &p, &len) < 0)
		return false;
	*protocol = p;
	len = sizeof(sa);
	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0 ||
	    !endpoint_from_sockaddr((struct sockaddr *)&sa, local))
		return false;
	len = sizeof(sa);
	/* A datagram socket has its port for all peers. */
	*peer = (struct endpoint){ 0 };
	if (p != IPPROTO_TCP) {
		local->addr = any_of(&local->addr);
		return p == IPPROTO_UDP;
	}
	return getpeername(fd, (struct sockaddr *)&sa, &len) < 0 ||
	       endpoint_from_sockaddr((struct sockaddr *)&sa, peer);
}

static struct known_flow *announce(struct wire *w, uint8_t protocol,
				   const struct endpoint *local,
				   const struct endpoint *peer)
{
	struct known_flow *f = flows_find(w->sockets, protocol, local, peer);

	if (!f)
		f = flows_add(w->sockets, protocol, local, peer);
	if (!f)
		return NULL;
	flows_set_phase(w->sockets, f, FLOW_IS_OPEN);
	f->opened_ns = capture_now();
	f->closed_ns = 0;
	f->pid = 0;
	f->has_isn = false;
	return f;
}

/* connect(2) on a socket that doesn't block leaves no peer to be asked for. */
static void on_opened(struct sock_watch *watch, int fd, const struct endpoint *to)
{
	struct wire *w = container_of(watch, struct wire, watch);
	struct endpoint local, peer;
	uint8_t protocol;

	if (!ends_of(fd, &protocol, &local, &peer))
		return;
	if (protocol == IPPROTO_TCP && to)
		peer = *to;
	announce(w, protocol, &local, &peer);
}

static void end_socket(struct wire *w, struct known_flow *f)
{
	if (!f)
		return;
	f->closed_ns = capture_now();
	flows_set_phase(w->sockets, f, FLOW_OVER);
}

static void on_closing(struct sock_watch *watch, int fd)
{
	struct wire *w = container_of(watch, struct wire, watch);
	struct endpoint local, peer;
	uint8_t protocol;

	if (!ends_of(fd, &protocol, &local, &peer) || protocol == IPPROTO_TCP)
		return;
	end_socket(w, flows_find(w->sockets, protocol, &local, &peer));
}

static void on_echo(struct sock_watch *watch, bool v4, uint16_t id, bool ours)
{
	struct wire *w = container_of(watch, struct wire, watch);
	uint8_t protocol = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	const struct endpoint local = { v4 ? addr_from_v4("\0\0\0\0") :
					     (struct addr){ .b = { 0 } },
					id };

	if (ours)
		announce(w, protocol, &local, &nobody);
	else
		end_socket(w, flows_find(w->sockets, protocol, &local, &nobody));
}

void wire_owner(struct wire *w, uint8_t protocol, const struct endpoint *local,
		const struct endpoint *peer, pid_t pid)
{
	const struct endpoint any = { any_of(&local->addr), local->port };
	struct known_flow *f;

	if (protocol == IPPROTO_TCP)
		f = flows_find(w->sockets, protocol, local, peer);
	else
		f = flows_find(w->sockets, protocol, &any, &nobody);
	if (f)
		f->pid = pid;
}

struct sock_watch *wire_watch(struct wire *w)
{
	return &w->watch;
}

/* --- packets --- */

/* A SYN of a tuple that was ours once is ours only when a socket has been announced for it,
 * and again and again the same. */
static bool syn_is_ours(struct known_flow *f, const uint8_t *tcp)
{
	uint32_t seq;

	if ((tcp[13] & 0x17) != 0x02)
		return true;
	memcpy(&seq, tcp + 4, 4);
	if (f->has_isn)
		return seq == f->isn;
	f->isn = seq;
	f->has_isn = true;
	return true;
}

/* The socket with that local end, if the packet is its. */
static struct known_flow *find_socket(struct wire *w, uint8_t protocol,
				      const struct endpoint *local,
				      const struct endpoint *peer, const uint8_t *l4,
				      bool outbound, uint64_t time_ns)
{
	const struct endpoint any = { any_of(&local->addr), local->port };
	struct known_flow *f;

	if (protocol == IPPROTO_TCP) {
		f = flows_find(w->sockets, protocol, local, peer);
		if (!f || !outbound || syn_is_ours(f, l4))
			return f;
		flows_remove(w->sockets, f);
		return NULL;
	}
	f = flows_find(w->sockets, protocol, &any, &nobody);
	if (!f || time_ns < f->opened_ns || (f->closed_ns && time_ns > f->closed_ns))
		return NULL;
	return f;
}

/* Whose it is, NULL if not one of ours'; and which way it goes. */
static const struct known_flow *find_owner(struct wire *w, const uint8_t *frame,
					   size_t len, const struct shape *s,
					   uint64_t time_ns, bool *outbound)
{
	struct endpoint from, to;
	struct shape inner;

	const struct known_flow *f;

	if (cut_endpoints(frame, s, &from, &to)) {
		f = find_socket(w, s->protocol, &from, &to, frame + s->l4, true, time_ns);
		*outbound = f;
		return f ? f :
			   find_socket(w, s->protocol, &to, &from, NULL, false, time_ns);
	}
	*outbound = false;
	if ((s->protocol != IPPROTO_ICMP && s->protocol != IPPROTO_ICMPV6) ||
	    !capture_quoted(frame, len, s, &inner, &from, &to))
		return NULL;
	return find_socket(w, inner.protocol, &from, &to, NULL, false, time_ns);
}

/* --- fragments --- */

/* The first piece as if it were all, so that its ports can be read. Returns its length. */
static size_t unfragmented(uint8_t out[static PIECE_MAX], const uint8_t *frame,
			   size_t len, const struct shape *s)
{
	size_t head = CUT_ETH_LEN + (s->v4 ? 20 : 40), skip = s->v4 ? 0 : 8;
	size_t n = MIN(len, (size_t)PIECE_MAX);

	if (n < head + skip)
		return 0;
	memcpy(out, frame, head);
	memcpy(out + head, frame + head + skip, n - head - skip);
	if (s->v4)
		memset(out + CUT_ETH_LEN + 6, 0, 2);
	else
		out[CUT_ETH_LEN + 6] = frame[head];
	return n - skip;
}

/* Whose a piece of a packet is: the first one says, the others come after it. */
static const struct known_flow *find_piece_owner(struct wire *w, const uint8_t *frame,
						 size_t len, const struct shape *s,
						 uint64_t time_ns, bool *outbound)
{
	const uint8_t *ip = frame + CUT_ETH_LEN;
	uint8_t first[PIECE_MAX];
	struct piece p = { .v4 = s->v4 };
	struct shape shape;
	bool begins;

	if (len < CUT_ETH_LEN + (s->v4 ? 20u : 48u))
		return NULL;
	memcpy(p.addrs, ip + (s->v4 ? 12 : 8), s->v4 ? 8 : 32);
	memcpy(&p.id, ip + (s->v4 ? 4 : 44), s->v4 ? 2 : 4);
	begins = s->v4 ? !((ip[6] & 0x1f) | ip[7]) : !(ip[42] | (ip[43] & 0xf8));
	for (size_t i = 0; !begins && i < ARRAY_SIZE(w->pieces); i++) {
		const struct piece *q = &w->pieces[i];

		if (q->v4 == p.v4 && q->id == p.id &&
		    memcmp(q->addrs, p.addrs, sizeof(p.addrs)) == 0 && q->known) {
			*outbound = q->outbound;
			return &w->of_pieces;
		}
	}
	len = begins ? unfragmented(first, frame, len, s) : 0;
	if (!len)
		return NULL;
	shape = cut_shape(first, len);
	if (shape.fragment || !find_owner(w, first, len, &shape, time_ns, outbound))
		return NULL;
	p.known = true;
	p.outbound = *outbound;
	w->pieces[w->next_piece++ % ARRAY_SIZE(w->pieces)] = p;
	return &w->of_pieces;
}

/* An Ethernet frame, whatever the interface has. */
static size_t as_frame(struct wire *w, const uint8_t *data, size_t len)
{
	uint16_t type = len && data[0] >> 4 == 4 ? ETH_P_IP : ETH_P_IPV6;

	if (!w->raw) {
		memcpy(w->frame, data, len);
		return len;
	}
	memset(w->frame, 0, CUT_ETH_LEN);
	w->frame[12] = type >> 8;
	w->frame[13] = type & 255;
	memcpy(w->frame + CUT_ETH_LEN, data, len);
	return len + CUT_ETH_LEN;
}

static void on_packet(u_char *ctx, const struct pcap_pkthdr *h, const u_char *data)
{
	struct wire *w = (struct wire *)ctx;
	struct capture *c = w->capture;
	struct pcapng_packet p = { .time_ns = h->ts.tv_sec * UINT64_C(1000000000) +
					      h->ts.tv_usec }; /* nanoseconds here */
	size_t len = as_frame(w, data, MIN(h->caplen, (bpf_u_int32)SNAPLEN));
	struct shape s = cut_shape(w->frame, len);
	const struct known_flow *f;
	bool outbound;

	f = (s.fragment ? find_piece_owner : find_owner)(w, w->frame, len, &s, p.time_ns,
							 &outbound);
	if (!f)
		return;
	if (h->caplen == h->len)
		cut_complete(w->frame, len, &s);
	if (c->filter && !filter_matches(c->filter, w->frame, len))
		return;
	p.data = w->raw ? w->frame + CUT_ETH_LEN : w->frame;
	p.original = h->len;
	p.captured = MIN(h->caplen, c->views[VIEW_WIRE].snaplen);
	p.pid = f->pid;
	p.direction = outbound ? PCAPNG_OUTBOUND : PCAPNG_INBOUND;
	capfile_packet(c->views[VIEW_WIRE].file, &p);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct wire *w = poll->data;

	(void)status;
	(void)events;
	if (pcaplib.pcap_dispatch(w->pcap, BATCH, on_packet, (u_char *)w) >= 0)
		return;
	uv_poll_stop(poll);
	log_warn("--capture: %s: no more packets are captured, the command goes on",
		 pcaplib.pcap_geterr(w->pcap));
}

/* --- set-up --- */

/* The interface of the route to an address, by rtnetlink(7); 0 without. */
static int route_interface(const struct addr *to)
{
	bool v4 = addr_is_v4(to);
	size_t len = v4 ? 4 : 16;
	struct {
		struct nlmsghdr n;
		struct rtmsg r;
		struct rtattr a;
		uint8_t addr[16];
	} ask = {
		.n = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)) + RTA_LENGTH(len),
		       .nlmsg_type = RTM_GETROUTE,
		       .nlmsg_flags = NLM_F_REQUEST },
		.r = { .rtm_family = v4 ? AF_INET : AF_INET6, .rtm_dst_len = len * 8 },
		.a = { .rta_len = RTA_LENGTH(len), .rta_type = RTA_DST },
	};
	_Alignas(struct nlmsghdr) char answer[4096];
	const struct nlmsghdr *n = (const void *)answer;
	cleanup_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	ssize_t got;
	int left, index = 0;

	memcpy(ask.addr, to->b + 16 - len, len);
	if (fd < 0 || send(fd, &ask, ask.n.nlmsg_len, 0) < 0)
		return 0;
	got = recv(fd, answer, sizeof(answer), 0);
	if (got < 0 || !NLMSG_OK(n, got) || n->nlmsg_type != RTM_NEWROUTE)
		return 0;
	left = RTM_PAYLOAD(n);
	for (const struct rtattr *a = RTM_RTA(NLMSG_DATA(n)); RTA_OK(a, left);
	     a = RTA_NEXT(a, left)) {
		if (a->rta_type == RTA_OIF)
			memcpy(&index, RTA_DATA(a), sizeof(index));
	}
	return index;
}

/* As the program users come from: the way to well-known addresses. */
static int find_device(char device[static IF_NAMESIZE], struct error *err)
{
	static const char *const anywhere[] = { "1.1.1.1", "2606:4700:4700::1111" };
	struct addr a;

	for (size_t i = 0; i < ARRAY_SIZE(anywhere); i++) {
		int index = addr_parse(anywhere[i], &a) ? route_interface(&a) : 0;

		if (index && if_indextoname(index, device))
			return 0;
	}
	error_set(err, 0, "the host has no default route, so no interface to capture on");
	return error_cure(err, "--capture-point egress needs none.");
}

static int refused(const struct wire *w, int status, struct error *err)
{
	const char *why = pcaplib.pcap_geterr(w->pcap);

	error_set(err, 0, "capture on %s: %s", w->device,
		  status == PCAP_ERROR_PERM_DENIED ? strerror(EPERM) :
		  *why				   ? why :
						     pcaplib.pcap_statustostr(status));
	if (status == PCAP_ERROR_PERM_DENIED)
		return error_cure(err, "It takes the right to read the host's packets "
				       "(CAP_NET_RAW): run childflow as root, or use "
				       "--capture-point egress, which needs no rights.");
	return -1;
}

/* See the theory above. Without it all packets are looked at. */
static void set_kernel_filter(struct wire *w)
{
	char range[64] = "", text[256];
	unsigned low = 0, high = 0;
	FILE *f = fopen(PORT_RANGE, "re");
	struct bpf_program program;

	if (f && fgets(range, sizeof(range), f))
		sscanf(range, "%u %u", &low, &high);
	if (f)
		fclose(f);
	if (!low || high < low)
		return;
	snprintf(text, sizeof(text),
		 "icmp or icmp6 or tcp portrange %u-%u or udp portrange %u-%u or "
		 "ip[6:2] & 0x1fff != 0 or ip6 proto 44",
		 low, high, low, high);
	if (pcaplib.pcap_compile(w->pcap, &program, text, 1, PCAP_NETMASK_UNKNOWN) < 0)
		return;
	pcaplib.pcap_setfilter(w->pcap, &program);
	pcaplib.pcap_freecode(&program);
}

static int activate(struct wire *w, struct error *err)
{
	char why[PCAP_ERRBUF_SIZE];
	int status;

	pcaplib.pcap_set_snaplen(w->pcap, SNAPLEN);
	pcaplib.pcap_set_promisc(w->pcap, 0);
	pcaplib.pcap_set_timeout(w->pcap, BLOCK_MS);
	pcaplib.pcap_set_buffer_size(w->pcap, BUFFER_BYTES);
	pcaplib.pcap_set_tstamp_precision(w->pcap, PCAP_TSTAMP_PRECISION_NANO);
	status = pcaplib.pcap_activate(w->pcap);
	if (status < 0)
		return refused(w, status, err);
	if (pcaplib.pcap_datalink(w->pcap) != DLT_EN10MB &&
	    pcaplib.pcap_datalink(w->pcap) != DLT_RAW)
		return error_set(err, 0,
				 "capture on %s: it carries no packets that are known "
				 "here (%s)",
				 w->device,
				 pcaplib.pcap_datalink_val_to_name(
					 pcaplib.pcap_datalink(w->pcap)));
	w->raw = pcaplib.pcap_datalink(w->pcap) == DLT_RAW;
	if (pcaplib.pcap_setnonblock(w->pcap, 1, why) < 0)
		return error_set(err, 0, "capture on %s: %s", w->device, why);
	set_kernel_filter(w);
	return 0;
}

struct wire *wire_new(struct capture *c, struct error *err)
{
	char why[PCAP_ERRBUF_SIZE];
	struct wire *w = calloc(1, sizeof(*w));

	if (!w) {
		error_set(err, ENOMEM, "capture packets");
		return NULL;
	}
	w->capture = c;
	w->watch.opened = on_opened;
	w->watch.closing = on_closing;
	w->watch.echo = on_echo;
	w->sockets = flows_new(forget, NULL);
	if (pcaplib_load(err) < 0 || find_device(w->device, err) < 0)
		goto fail;
	w->pcap = pcaplib.pcap_create(w->device, why);
	if (!w->sockets || !w->pcap) {
		error_set(err, ENOMEM, "capture on %s", w->device);
		goto fail;
	}
	if (activate(w, err) < 0)
		goto fail;
	return w;

fail:
	wire_free(w);
	return NULL;
}

const char *wire_device(const struct wire *w)
{
	return w->device;
}

uint16_t wire_linktype(const struct wire *w)
{
	return w->raw ? CAPTURE_LINKTYPE_RAW : CAPTURE_LINKTYPE_ETHERNET;
}

int wire_start(struct wire *w)
{
	int r = uv_poll_init(w->capture->deps.loop, &w->poll,
			     pcaplib.pcap_get_selectable_fd(w->pcap));

	if (r)
		return r;
	w->polls = true;
	w->poll.data = w;
	return uv_poll_start(&w->poll, UV_READABLE, on_readable);
}

/* --- the end --- */

/* What has crossed the interface may still be in a block that is not handed over. */
static void read_rest(struct wire *w)
{
	struct pollfd p = { .fd = pcaplib.pcap_get_selectable_fd(w->pcap),
			    .events = POLLIN };

	for (int i = 0; i < 64 && poll(&p, 1, 3 * BLOCK_MS) > 0; i++) {
		if (pcaplib.pcap_dispatch(w->pcap, -1, on_packet, (u_char *)w) < 0)
			return;
	}
}

uint64_t wire_close(struct wire *w)
{
	struct pcap_stat stat = { 0 };

	if (!w->polls)
		return 0;
	read_rest(w);
	pcaplib.pcap_stats(w->pcap, &stat);
	uv_close((uv_handle_t *)&w->poll, NULL);
	return stat.ps_drop;
}

void wire_free(struct wire *w)
{
	if (w->pcap)
		pcaplib.pcap_close(w->pcap);
	if (w->sockets)
		flows_free(w->sockets);
	free(w);
}
