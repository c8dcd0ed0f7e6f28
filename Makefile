# make help says what there is.
SHELL = /bin/sh
PREFIX ?= /usr
DESTDIR ?=
BINDIR = $(PREFIX)/bin
SBINDIR = $(PREFIX)/sbin
SHAREDIR = $(PREFIX)/share
LIBDIR = $(PREFIX)/lib/upgradelinkd
# Where the agent looks, whatever PREFIX is.
VENDORDIR = /usr/lib/upgradelinkd
CONFDIR = /etc/upgradelinkd
UNITDIR ?= /usr/lib/systemd/system
CATALOGDIR ?= /usr/lib/systemd/catalog
DBUSDIR ?= /usr/share/dbus-1
POLKITDIR ?= /usr/share/polkit-1/actions
SYSUSERSDIR ?= /usr/lib/sysusers.d
TMPFILESDIR ?= /usr/lib/tmpfiles.d
UNITS = upgradelinkd.service upgradelink-installer@.service upgradelink-installer-resume.service

# TOMLKit's parser has assertions where it also has errors, and before them: "[?" in a configuration would end the agent.
DEFINES = -Xcxx '-DTOML_ASSERT(condition)=static_assert(true)'

# The parts of the Swift runtime that are used are installed beside the programs: the box needs no Swift. As shared
# libraries, once for all four: 30 MB, where four static programs have 69 MB (make sizes).
RELEASE = $(DEFINES) -c release -Xswiftc -Osize --scratch-path .build-release
PROGRAMS = upgradelinkd upgradelinkctl upgradelink-fetch upgradelink-installer
STAGE = .build-release/stage

# Swift's package manager leaves folders behind wherever its temporary files go: here "make clean" finds them.
TEMPORARY = $(CURDIR)/.cache/tmp
SWIFT = rm -rf "$(TEMPORARY)"/TemporaryDirectory.*; mkdir -p "$(TEMPORARY)"; TMPDIR="$(TEMPORARY)" swift

.PHONY: help deps build demo picture test explore soak fuzz lint release sizes install uninstall deb clean

help:
	@echo "make demo      build, and show a box being updated (nothing is installed, nothing is left behind)"
	@echo "make test      install what is missing, and run every test"
	@echo "make explore   explore every state of the update machine"
	@echo "make soak      power cuts at thirty random moments (SEED=…)"
	@echo "make fuzz      fuzz everything that reads foreign bytes (FUZZ_SECONDS=$(FUZZ_SECONDS) for each target)"
	@echo "make install   build for use, and install below DESTDIR with PREFIX ($(PREFIX)); then:"
	@echo "               edit $(CONFDIR)/upgradelinkd.toml; systemctl enable --now upgradelinkd"
	@echo "make picture   run the demonstration, and draw it as docs/demo.svg"
	@echo "make deb       build a Debian package, below .cache/deb"
	@echo "make sizes     compare two forms of the installed programs"
	@echo "make build     build for development"
	@echo "make lint      check the format"
	@echo "make clean     remove what was built"

deps:
	@packaging/dependencies.sh build

build: deps
	@$(SWIFT) build --quiet $(DEFINES)

demo: build
	@.build/debug/upgradelink-sim demo --programs "$(CURDIR)/.build/debug" --modules "$(CURDIR)/packaging/modules"

# What the README opens with: drawn from a real run.
picture: build
	@.build/debug/upgradelink-sim demo --programs "$(CURDIR)/.build/debug" --modules "$(CURDIR)/packaging/modules" \
	    --picture "$(CURDIR)/docs/demo.svg"

lint:
	@$(SWIFT) format lint --strict --parallel --recursive Package.swift Sources Tests

test:
	@packaging/dependencies.sh test
	$(MAKE) --no-print-directory lint
	$(MAKE) --no-print-directory deb
	@$(SWIFT) build --build-tests $(DEFINES)
	@$(SWIFT) test --skip-build $(DEFINES)

# The state machine's whole state space, in a world with second tries; prints how many states there are.
explore: build
	@UPGRADELINKD_EXPLORE=1 $(SWIFT) test $(DEFINES) --scratch-path .build-explore -c release -Xswiftc -enable-testing \
	    --filter ExplorationTests

# The long part, bounded: thirty power cuts at random moments, of which the seed is printed; root.
SEED ?= $(shell date +%s)
soak:
	@packaging/dependencies.sh test
	@$(MAKE) --no-print-directory deb
	@echo "SEED=$(SEED)"
	@$(SWIFT) build --build-tests $(DEFINES)
	@UPGRADELINKD_SOAK=$(SEED) $(SWIFT) test --skip-build $(DEFINES) --filter PowerLossTests

# Each target for so many seconds, from the seeds in the repository; what is found is left in .cache/fuzz.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS = reply signature date configuration state installMessage fetchReport busCall text
fuzz: deps
	@$(SWIFT) build --quiet $(DEFINES) --scratch-path .build-fuzz --product upgradelink-fuzz -Xswiftc -sanitize=fuzzer \
	    -Xswiftc -DFUZZING -Xswiftc -parse-as-library
	@for target in $(FUZZ_TARGETS); do mkdir -p .cache/fuzz/$$target/found; echo "== $$target"; \
	    SWIFT_BACKTRACE=enable=no FUZZ_TARGET=$$target .build-fuzz/debug/upgradelink-fuzz -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 \
	    -max_len=8192 -print_final_stats=1 -artifact_prefix=.cache/fuzz/$$target/found/ .cache/fuzz/$$target \
	    Tests/FuzzCorpus/$$target 2>&1 | grep -E "Seed:|stat::(number_of_executed_units|average)|ERROR|SUMMARY|Test unit written" || exit 1; \
	    [ -z "$$(ls .cache/fuzz/$$target/found)" ] || exit 1; done

release:
	@packaging/dependencies.sh release
	@for program in $(PROGRAMS); do $(SWIFT) build $(RELEASE) --product $$program || exit 1; done
	@packaging/stage.sh .build-release/release $(STAGE)

# The measurement behind the form in which the Swift runtime is installed.
sizes: release
	@for program in $(PROGRAMS); do \
	    $(SWIFT) build --quiet $(subst .build-release,.build-static,$(RELEASE)) --static-swift-stdlib --product $$program || exit 1; done
	@packaging/sizes.sh $(STAGE) .build-static/release

# What is installed, and where: also what packages are made of.
install: release
	install -d $(addprefix "$(DESTDIR),$(addsuffix ",$(SBINDIR) $(BINDIR) $(LIBDIR) $(VENDORDIR)/modules \
	    $(VENDORDIR)/upgradelinkd.toml.d $(UNITDIR) $(SYSUSERSDIR) $(TMPFILESDIR) $(CATALOGDIR) $(DBUSDIR)/system.d \
	    $(DBUSDIR)/interfaces $(POLKITDIR) $(SHAREDIR)/upgradelinkd $(SHAREDIR)/bash-completion/completions \
	    $(SHAREDIR)/zsh/vendor-completions $(SHAREDIR)/fish/vendor_completions.d $(SHAREDIR)/man/man1 \
	    $(SHAREDIR)/man/man5 $(SHAREDIR)/man/man7 $(SHAREDIR)/man/man8))
	install $(STAGE)/programs/upgradelinkd "$(DESTDIR)$(SBINDIR)/"
	install $(STAGE)/programs/upgradelinkctl "$(DESTDIR)$(BINDIR)/"
	install $(STAGE)/programs/upgradelink-fetch $(STAGE)/programs/upgradelink-installer "$(DESTDIR)$(LIBDIR)/"
	install -m 644 $(STAGE)/runtime/* "$(DESTDIR)$(LIBDIR)/"
	install packaging/modules/* "$(DESTDIR)$(VENDORDIR)/modules/"
	install -m 644 config/vendor.toml "$(DESTDIR)$(VENDORDIR)/upgradelinkd.toml"
	install -m 644 config/upgradelinkd.toml "$(DESTDIR)$(SHAREDIR)/upgradelinkd/"
	install -m 644 packaging/sysusers/upgradelinkd.conf "$(DESTDIR)$(SYSUSERSDIR)/"
	sed 's|/usr/share/upgradelinkd|$(SHAREDIR)/upgradelinkd|' packaging/tmpfiles/upgradelinkd.conf \
	    >"$(DESTDIR)$(TMPFILESDIR)/upgradelinkd.conf"
	for unit in $(UNITS); do \
	    sed 's|@SBINDIR@|$(SBINDIR)|; s|@LIBDIR@|$(LIBDIR)|' packaging/systemd/$$unit.in >"$(DESTDIR)$(UNITDIR)/$$unit" && \
	    chmod 644 "$(DESTDIR)$(UNITDIR)/$$unit" || exit 1; done
	install -m 644 packaging/systemd/upgradelink-installer.socket "$(DESTDIR)$(UNITDIR)/"
	install -m 644 packaging/catalog/upgradelinkd.catalog "$(DESTDIR)$(CATALOGDIR)/"
	install -m 644 packaging/dbus/org.upgradelink.Agent1.conf "$(DESTDIR)$(DBUSDIR)/system.d/"
	install -m 644 packaging/dbus/org.upgradelink.Agent1.xml "$(DESTDIR)$(DBUSDIR)/interfaces/"
	install -m 644 packaging/polkit/org.upgradelink.policy "$(DESTDIR)$(POLKITDIR)/"
	for page in packaging/man/*; do install -m 644 $$page "$(DESTDIR)$(SHAREDIR)/man/man$${page##*.}/" || exit 1; done
	ctl=.build-release/release/upgradelinkctl; share="$(DESTDIR)$(SHAREDIR)"; \
	$$ctl --generate-completion-script bash | sed '1{/^#!/d}' >"$$share/bash-completion/completions/upgradelinkctl" && \
	$$ctl --generate-completion-script zsh >"$$share/zsh/vendor-completions/_upgradelinkctl" && \
	$$ctl --generate-completion-script fish >"$$share/fish/vendor_completions.d/upgradelinkctl.fish"
	@test -n "$(DESTDIR)" || packaging/activate.sh

uninstall:
	rm -f "$(DESTDIR)$(SBINDIR)/upgradelinkd" "$(DESTDIR)$(BINDIR)/upgradelinkctl" \
	    $(foreach unit,$(UNITS) upgradelink-installer.socket,"$(DESTDIR)$(UNITDIR)/$(unit)") \
	    "$(DESTDIR)$(SYSUSERSDIR)/upgradelinkd.conf" "$(DESTDIR)$(TMPFILESDIR)/upgradelinkd.conf" \
	    "$(DESTDIR)$(CATALOGDIR)/upgradelinkd.catalog" \
	    "$(DESTDIR)$(DBUSDIR)/system.d/org.upgradelink.Agent1.conf" \
	    "$(DESTDIR)$(DBUSDIR)/interfaces/org.upgradelink.Agent1.xml" \
	    "$(DESTDIR)$(POLKITDIR)/org.upgradelink.policy" \
	    "$(DESTDIR)$(SHAREDIR)/bash-completion/completions/upgradelinkctl" \
	    "$(DESTDIR)$(SHAREDIR)/zsh/vendor-completions/_upgradelinkctl" \
	    "$(DESTDIR)$(SHAREDIR)/fish/vendor_completions.d/upgradelinkctl.fish"
	for page in packaging/man/*; do rm -f "$(DESTDIR)$(SHAREDIR)/man/man$${page##*.}/$${page##*/}"; done
	rm -rf "$(DESTDIR)$(LIBDIR)" "$(DESTDIR)$(VENDORDIR)" "$(DESTDIR)$(SHAREDIR)/upgradelinkd"

# A package for the Debian that this runs on, below .cache/deb.
deb: release
	@packaging/dependencies.sh deb
	@packaging/deb.sh "$(CURDIR)/.cache/deb"

clean:
	rm -rf .build .build-release .build-static .build-explore .build-fuzz .cache
