/* A list of domain rules, made ready for look-ups; comparing names. */
#ifndef POLICY_DOMAIN_H
#define POLICY_DOMAIN_H

#include "policy/ports.h"

/* What the rules say of one name. */
struct domain_entry {
	const char *domain; /* a rule's, or NULL: the slot is empty */
	uint32_t length, hash;
	struct port_map at, below; /* the name itself, the names below it */
};

/* Begins as zeros. */
struct domain_set {
	struct domain_entry
		*slots; /* open addressing; a power of two, half of them empty */
	size_t slot_count;
	struct port_table ports;
};

/* Of those rules of the list that are about names, and that `takes` takes (NULL: all). Returns
 * 0 or -ENOMEM; domain_set_free() in either case. The list's names are not copied. */
int domain_set_build(struct domain_set *set, const struct rule_list *list,
		     rule_filter takes);
void domain_set_free(struct domain_set *set);

/* The lowest index of the rules that match, or NO_RULE. */
uint32_t domain_set_find(const struct domain_set *set, const char *name,
			 const struct traffic *traffic);

/* The same name, whatever the case, with or without the last dot. */
bool domain_eq(const char *a, const char *b);

/* The last label is a number: an IPv4 address in one of its spellings, not the name of a
 * host. (getaddrinfo() and proxies take "127.1" and "0x7f000001" for addresses.) Nor is what
 * has a colon, a backslash or nothing in it. */
bool domain_is_address(const char *name);

#endif
