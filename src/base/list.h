/* Doubly linked circular list with an embedded node, as in the kernel's list.h. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/util.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_add_tail(struct list *head, struct list *n)
{
	n->prev = head->prev;
	n->next = head;
	head->prev->next = n;
	head->prev = n;
}

/* Leaves the node initialised, so that removing twice is harmless. */
static inline void list_del(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}

#define list_entry(n, type, member) container_of(n, type, member)

/* The body may remove the current entry, no other. */
#define list_for_each(pos, tmp, head) \
	for ((pos) = (head)->next; (tmp) = (pos)->next, (pos) != (head); (pos) = (tmp))

#endif
