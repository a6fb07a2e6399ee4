/* Types of values whose functions stand in a file of their own. */
#ifndef CONFIG_VALUE_INTERNAL_H
#define CONFIG_VALUE_INTERNAL_H

#include "config/value.h"

/* What a reader is told besides the text. */
struct source {
	const struct option *o;
	const char *dir;
};

/* How a parser fails: with a sentence of its own, or with the type's expectation. */
enum outcome {
	GOOD,
	BAD,
	BAD_WITH_SENTENCE
};

/* --- value_rules.c: rules, routes and proxies --- */

enum outcome value_parse_rules(const struct source *src, const char *text, void *field,
			       struct error *err);
enum outcome value_parse_route(const struct source *src, const char *text, void *field,
			       struct error *err);
enum outcome value_parse_proxy(const struct source *src, const char *text, void *field,
			       struct error *err);
size_t value_count_rules(const void *field);
size_t value_count_routes(const void *field);
size_t value_count_proxies(const void *field);
char *value_text_of_rule(const struct option *o, const void *field, size_t i,
			 bool secrets);
char *value_text_of_route(const struct option *o, const void *field, size_t i,
			  bool secrets);
char *value_text_of_proxy(const struct option *o, const void *field, size_t i,
			  bool secrets);
void value_clear_rules(void *field);
void value_clear_routes(void *field);
void value_clear_proxies(void *field);

#endif
