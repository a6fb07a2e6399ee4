/* Reads the rules of allow and deny lists. */
#ifndef CONFIG_RULE_H
#define CONFIG_RULE_H

#include "base/error.h"
#include "policy/rule.h"

/*
 * Appends the rules of text, elements between commas, to list. kind says what the elements
 * are: RULE_CIDR, RULE_DOMAIN (where "*.x" is RULE_SUBDOMAINS), RULE_EXACT, or RULE_EITHER of
 * the first two. Text that
 * begins with '@' names a file of one element a line; a relative name counts from dir, or from
 * the working directory when that is NULL. On failure the list is left with what came before
 * the bad element.
 */
int rules_parse(struct rule_list *list, enum rule_kind kind, const char *text,
		const char *dir, struct error *err);

void rules_clear(struct rule_list *list);

#endif
