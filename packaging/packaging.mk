# What is installed besides the program. Pages are templates that pages_gen fills in from the
# option table (src/config/pages_gen.c): X.in becomes X, in the build directory.

man_MANS = \
	packaging/man/childflow.1 \
	packaging/man/childflow-profile.5 \
	$(NULL)

# bashcompdir comes from configure.
zshcompdir = $(datadir)/zsh/site-functions
fishcompdir = $(datadir)/fish/vendor_completions.d
bashcomp_DATA = packaging/completions/bash/childflow
zshcomp_DATA = packaging/completions/zsh/_childflow
fishcomp_DATA = packaging/completions/fish/childflow.fish

pages = $(man_MANS) $(bashcomp_DATA) $(zshcomp_DATA) $(fishcomp_DATA)
page_templates = \
	packaging/completions/bash/childflow.in \
	packaging/completions/fish/childflow.fish.in \
	packaging/completions/zsh/_childflow.in \
	packaging/man/childflow-profile.5.in \
	packaging/man/childflow.1.in \
	$(NULL)

$(pages): $(page_templates) src/config/pages_gen$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) $(@D) && \
		src/config/pages_gen$(EXEEXT) <$(srcdir)/$@.in >$@.tmp && mv $@.tmp $@

CLEANFILES += $(pages)
EXTRA_DIST += packaging/packages $(page_templates) profiles/README

# Where search.c looks for them.
profilesdir = $(pkgdatadir)/profiles
dist_profiles_DATA = \
	profiles/ai-agent.toml \
	profiles/capture-all.toml \
	profiles/ci-audit.toml \
	profiles/default-deny.toml \
	profiles/git-over-ssh.toml \
	profiles/no-private.toml \
	profiles/offline.toml \
	profiles/proxy-only.toml \
	$(NULL)

schemadir = $(pkgdatadir)/schema
dist_schema_DATA = \
	docs/schema/flow-log.schema.json \
	docs/schema/report.schema.json \
	docs/schema/summary.schema.json \
	$(NULL)
