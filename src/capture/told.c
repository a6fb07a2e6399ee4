/* What is written beside packets, each thing once: names of addresses, processes. */
#include <string.h>

#include "capture/capture_internal.h"

/* FNV-1a: a collision costs one name in the file. */
static uint64_t hash(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len--)
		h = (h ^ *p++) * UINT64_C(0x100000001b3);
	return h;
}

static bool is_new(uint64_t seen[CAPTURE_SEEN], uint64_t h)
{
	uint64_t *slot = &seen[h % CAPTURE_SEEN];

	if (*slot == h)
		return false;
	*slot = h;
	return true;
}

void capture_learn_names(struct capture *c, const struct event *ev)
{
	char name[256];
	size_t len = strlen(ev->dns.name);

	if (len && ev->dns.name[len - 1] == '.')
		len--;
	if (!len || len >= sizeof(name))
		return;
	memcpy(name, ev->dns.name, len);
	name[len] = '\0';
	for (size_t i = 0; i < ev->dns.addr_count; i++) {
		const struct addr *a = &ev->dns.addrs[i];
		uint64_t h = hash(hash(UINT64_C(0xcbf29ce484222325), name, len), a,
				  sizeof(*a));

		if (!is_new(c->names, h))
			continue;
		for (size_t v = 0; v < VIEW_COUNT; v++) {
			if (c->views[v].file)
				capfile_name(c->views[v].file, a, name);
		}
	}
}

void capture_announce(struct capture *c, const struct process *p)
{
	const struct pcapng_process block = { p->pid, p->comm, p->exe };
	uint64_t h = hash(UINT64_C(0xcbf29ce484222325), &p->pid, sizeof(p->pid));

	if (!c->setup->process_blocks)
		return;
	h = hash(h, p->comm ? p->comm : "", p->comm ? strlen(p->comm) : 0);
	h = hash(h, p->exe ? p->exe : "", p->exe ? strlen(p->exe) : 0);
	if (!is_new(c->processes, h))
		return;
	for (size_t v = 0; v < VIEW_COUNT; v++) {
		if (c->views[v].file)
			capfile_process(c->views[v].file, &block);
	}
}
