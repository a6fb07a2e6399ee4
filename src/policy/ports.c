#include "policy/ports.h"

#include <errno.h>
#include <stdlib.h>

#include "base/util.h"

static int push(struct port_table *t, struct port_segment seg)
{
	if (t->count == t->room) {
		size_t room = MAX(t->room * 2, (size_t)16);
		struct port_segment *more = realloc(t->segments, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		t->segments = more;
		t->room = room;
	}
	t->segments[t->count++] = seg;
	return 0;
}

/* --- painting: of ranges that overlap, the first one in the list wins --- */

static int compare_points(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static size_t cell_of(const uint32_t *points, size_t count, uint32_t point)
{
	const uint32_t *at = bsearch(&point, points, count, sizeof(*points),
				     compare_points);

	return at - points;
}

/* The first cell from c on that is not painted; shortens the way for the next. */
static uint32_t unpainted(uint32_t *next, uint32_t c)
{
	while (next[c] != c) {
		next[c] = next[next[c]];
		c = next[c];
	}
	return c;
}

/* The ends of all ranges, sorted, each once: cell i is from points[i] to points[i + 1]. */
static size_t collect_points(const struct port_table *ranges, uint32_t *points)
{
	size_t count = 0, unique = 0;

	for (size_t i = 0; i < ranges->count; i++) {
		points[count++] = ranges->segments[i].first;
		points[count++] = ranges->segments[i].last + 1u;
	}
	qsort(points, count, sizeof(*points), compare_points);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || points[i] != points[unique - 1])
			points[unique++] = points[i];
	return unique;
}

static int emit_cells(struct port_table *t, const uint32_t *points, const uint32_t *paint,
		      size_t cells)
{
	for (size_t i = 0, end; i < cells; i = end) {
		for (end = i + 1; end < cells && paint[end] == paint[i]; end++)
			;
		if (paint[i] != NO_RULE && push(t, (struct port_segment){
							   .rule = paint[i],
							   .first = points[i],
							   .last = points[end] - 1,
						   }))
			return -ENOMEM;
	}
	return 0;
}

static int paint_ranges(struct port_table *t, const struct port_table *ranges)
{
	cleanup_free uint32_t *points = calloc(ranges->count * 2, sizeof(*points));
	cleanup_free uint32_t *paint = calloc(ranges->count * 2, sizeof(*paint));
	cleanup_free uint32_t *next = calloc(ranges->count * 2, sizeof(*next));
	size_t count;

	if (!points || !paint || !next)
		return -ENOMEM;
	count = collect_points(ranges, points);
	for (size_t i = 0; i < count; i++) {
		paint[i] = NO_RULE;
		next[i] = i;
	}
	for (size_t i = 0; i < ranges->count; i++) {
		size_t end = cell_of(points, count, ranges->segments[i].last + 1u);
		uint32_t c = cell_of(points, count, ranges->segments[i].first);

		while ((c = unpainted(next, c)) < end) {
			paint[c] = ranges->segments[i].rule;
			next[c] = c + 1;
		}
	}
	return emit_cells(t, points, paint, count - 1);
}

/* --- one key --- */

static bool speaks_of(const struct rule *r, enum rule_protocol protocol)
{
	return r->protocol == protocol || r->protocol == RULE_ANY;
}

static int add_protocol(struct port_table *t, struct port_table *scratch,
			enum rule_protocol protocol, const struct rule_list *list,
			const uint32_t *rules, size_t n)
{
	static const struct port_range every = { 0, UINT16_MAX };

	scratch->count = 0;
	for (size_t i = 0; i < n; i++) {
		const struct rule *r = &list->rules[rules[i]];
		const struct port_range *ports = r->port_count ? r->ports : &every;

		if (!speaks_of(r, protocol))
			continue;
		for (size_t k = 0; k < MAX(r->port_count, (size_t)1); k++) {
			struct port_segment seg = { rules[i], ports[k].first,
						    ports[k].last };

			if (push(scratch, seg))
				return -ENOMEM;
		}
	}
	if (scratch->count == 0)
		return 0;
	if (scratch->count == 1)
		return push(t, scratch->segments[0]);
	return paint_ranges(t, scratch);
}

int ports_add(struct port_table *table, struct port_map *map,
	      const struct rule_list *list, const uint32_t *rules, size_t n)
{
	struct port_table scratch = { 0 };
	int ret;

	*map = (struct port_map){ .icmp = NO_RULE, .whole = NO_RULE, .some = NO_RULE };
	for (size_t i = 0; i < n; i++) {
		const struct rule *r = &list->rules[rules[i]];
		bool plain = r->port_count == 0;

		map->some = MIN(map->some, rules[i]);
		if (plain && speaks_of(r, RULE_ICMP))
			map->icmp = MIN(map->icmp, rules[i]);
		if (plain && r->protocol == RULE_ANY)
			map->whole = MIN(map->whole, rules[i]);
	}
	map->tcp = table->count;
	ret = add_protocol(table, &scratch, RULE_TCP, list, rules, n);
	map->udp = table->count;
	if (ret == 0)
		ret = add_protocol(table, &scratch, RULE_UDP, list, rules, n);
	map->end = table->count;
	ports_free(&scratch);
	return ret;
}

void ports_free(struct port_table *table)
{
	free(table->segments);
	*table = (struct port_table){ 0 };
}

static uint32_t find_port(const struct port_segment *v, size_t count, uint16_t port)
{
	while (count > 0) {
		size_t half = count / 2;

		if (port < v[half].first) {
			count = half;
		} else if (port > v[half].last) {
			v += half + 1;
			count -= half + 1;
		} else {
			return v[half].rule;
		}
	}
	return NO_RULE;
}

uint32_t ports_find(const struct port_table *table, const struct port_map *map,
		    const struct traffic *traffic)
{
	switch (traffic->kind) {
	case TRAFFIC_TCP:
		return find_port(table->segments + map->tcp, map->udp - map->tcp,
				 traffic->port);
	case TRAFFIC_UDP:
		return find_port(table->segments + map->udp, map->end - map->udp,
				 traffic->port);
	case TRAFFIC_ICMP:
		return map->icmp;
	case TRAFFIC_WHOLE:
		return map->whole;
	case TRAFFIC_SOME:
		return map->some;
	}
	return NO_RULE;
}
