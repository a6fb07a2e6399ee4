childflow_lib_sources += \
	src/event/activity.c \
	src/event/activity.h \
	src/event/counters.c \
	src/event/counters.h \
	src/event/entry.c \
	src/event/entry.h \
	src/event/event.c \
	src/event/event.h \
	src/event/flowlog.c \
	src/event/flowlog.h \
	src/event/json_parts.h \
	src/event/logfile.c \
	src/event/logfile.h \
	src/event/notice.c \
	src/event/notice.h \
	src/event/reader.c \
	src/event/reader.h \
	src/event/render.h \
	src/event/render_html.c \
	src/event/render_json.c \
	src/event/render_markdown.c \
	src/event/render_text.c \
	src/event/summary.c \
	src/event/summary.h \
	src/event/table.c \
	src/event/table.h \
	src/event/talks.c \
	src/event/talks.h \
	src/event/tally.c \
	src/event/tally.h \
	src/event/view.c \
	src/event/view.h \
	$(NULL)

# The page of --report-format html is written as what it is, and becomes strings here.
page_parts = src/event/page.html src/event/page.css src/event/page.js
page_strings = src/event/page_html.inc src/event/page_css.inc src/event/page_js.inc
EXTRA_DIST += $(page_parts)
BUILT_SOURCES += $(page_strings)
CLEANFILES += $(page_strings)
src/event/page_html.inc: src/event/page.html
src/event/page_css.inc: src/event/page.css
src/event/page_js.inc: src/event/page.js
$(page_strings):
	$(AM_V_GEN)$(MKDIR_P) $(@D) && name=$(@F) && \
		name=$${name%.inc} && name=$${name#page_} && \
		sed 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$$/\\n"/' \
		<$(srcdir)/src/event/page.$$name >$@.tmp && mv $@.tmp $@
src/event/render_html.$(OBJEXT): $(page_strings)
