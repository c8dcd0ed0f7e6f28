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

# A static Swift runtime: what is installed needs no Swift on the box.
RELEASE = -c release --static-swift-stdlib -Xswiftc -Osize --scratch-path .build-release
PROGRAMS = upgradelink-fetch upgradelink-installer

# Swift's package manager leaves folders behind wherever its temporary files go: here "make clean" finds them.
TEMPORARY = $(CURDIR)/.cache/tmp
SWIFT = rm -rf "$(TEMPORARY)"/TemporaryDirectory.*; mkdir -p "$(TEMPORARY)"; TMPDIR="$(TEMPORARY)" swift

.PHONY: help deps build demo test lint release install uninstall clean

help:
	@echo "make demo      build, and show a box being updated (nothing is installed, nothing is left behind)"
	@echo "make test      install what is missing, and run every test"
	@echo "make install   build for use, and install below DESTDIR with PREFIX ($(PREFIX)); then:"
	@echo "               edit $(CONFDIR)/upgradelinkd.toml; systemctl enable --now upgradelinkd"
	@echo "make build     build for development"
	@echo "make lint      check the format"
	@echo "make clean     remove what was built"

deps:
	@packaging/dependencies.sh build

build: deps
	@$(SWIFT) build --quiet

demo: build
	@.build/debug/upgradelink-sim demo --programs "$(CURDIR)/.build/debug" --modules "$(CURDIR)/packaging/modules"

lint:
	@$(SWIFT) format lint --strict --parallel --recursive Package.swift Sources Tests

test:
	@packaging/dependencies.sh test
	$(MAKE) --no-print-directory lint
	@$(SWIFT) build --build-tests
	@$(SWIFT) test --skip-build

release: deps
	@for program in upgradelinkd upgradelinkctl $(PROGRAMS); do $(SWIFT) build $(RELEASE) --product $$program || exit 1; done

install: release
	install -d "$(DESTDIR)$(SBINDIR)" "$(DESTDIR)$(LIBDIR)" "$(DESTDIR)$(VENDORDIR)/modules" \
	    "$(DESTDIR)$(VENDORDIR)/upgradelinkd.toml.d" "$(DESTDIR)$(CONFDIR)/upgradelinkd.toml.d" \
	    "$(DESTDIR)$(CONFDIR)/keys.d" "$(DESTDIR)$(UNITDIR)" "$(DESTDIR)$(BINDIR)" "$(DESTDIR)$(SHAREDIR)/man/man1" \
	    "$(DESTDIR)$(DBUSDIR)/system.d" "$(DESTDIR)$(DBUSDIR)/interfaces" "$(DESTDIR)$(POLKITDIR)" \
	    "$(DESTDIR)$(SHAREDIR)/bash-completion/completions" "$(DESTDIR)$(SHAREDIR)/zsh/vendor-completions" \
	    "$(DESTDIR)$(SHAREDIR)/fish/vendor_completions.d"
	install -s .build-release/release/upgradelinkd "$(DESTDIR)$(SBINDIR)/upgradelinkd"
	for program in $(PROGRAMS); do install -s .build-release/release/$$program "$(DESTDIR)$(LIBDIR)/$$program" || exit 1; done
	install -s .build-release/release/upgradelinkctl "$(DESTDIR)$(BINDIR)/upgradelinkctl"
	install -m 644 packaging/man/upgradelinkctl.1 "$(DESTDIR)$(SHAREDIR)/man/man1/"
	install -d "$(DESTDIR)$(CATALOGDIR)"
	install -m 644 packaging/catalog/upgradelinkd.catalog "$(DESTDIR)$(CATALOGDIR)/"
	install -m 644 packaging/dbus/org.upgradelink.Agent1.conf "$(DESTDIR)$(DBUSDIR)/system.d/"
	install -m 644 packaging/dbus/org.upgradelink.Agent1.xml "$(DESTDIR)$(DBUSDIR)/interfaces/"
	install -m 644 packaging/polkit/org.upgradelink.policy "$(DESTDIR)$(POLKITDIR)/"
	ctl=.build-release/release/upgradelinkctl; share="$(DESTDIR)$(SHAREDIR)"; \
	$$ctl --generate-completion-script bash >"$$share/bash-completion/completions/upgradelinkctl" && \
	$$ctl --generate-completion-script zsh >"$$share/zsh/vendor-completions/_upgradelinkctl" && \
	$$ctl --generate-completion-script fish >"$$share/fish/vendor_completions.d/upgradelinkctl.fish"
	install packaging/modules/* "$(DESTDIR)$(VENDORDIR)/modules/"
	test -e "$(DESTDIR)$(CONFDIR)/upgradelinkd.toml" || \
	    install -m 600 config/upgradelinkd.toml "$(DESTDIR)$(CONFDIR)/upgradelinkd.toml"
	sed 's|@SBINDIR@|$(SBINDIR)|' packaging/systemd/upgradelinkd.service.in >"$(DESTDIR)$(UNITDIR)/upgradelinkd.service"
	chmod 644 "$(DESTDIR)$(UNITDIR)/upgradelinkd.service"
	-@test -n "$(DESTDIR)" || ! test -d /run/systemd/system || { systemctl daemon-reload; journalctl --update-catalog; }

uninstall:
	rm -f "$(DESTDIR)$(SBINDIR)/upgradelinkd" "$(DESTDIR)$(UNITDIR)/upgradelinkd.service"
	rm -f "$(DESTDIR)$(BINDIR)/upgradelinkctl" "$(DESTDIR)$(SHAREDIR)/man/man1/upgradelinkctl.1" \
	    "$(DESTDIR)$(DBUSDIR)/system.d/org.upgradelink.Agent1.conf" \
	    "$(DESTDIR)$(DBUSDIR)/interfaces/org.upgradelink.Agent1.xml" \
	    "$(DESTDIR)$(POLKITDIR)/org.upgradelink.policy" "$(DESTDIR)$(CATALOGDIR)/upgradelinkd.catalog" \
	    "$(DESTDIR)$(SHAREDIR)/bash-completion/completions/upgradelinkctl" \
	    "$(DESTDIR)$(SHAREDIR)/zsh/vendor-completions/_upgradelinkctl" \
	    "$(DESTDIR)$(SHAREDIR)/fish/vendor_completions.d/upgradelinkctl.fish"
	rm -rf "$(DESTDIR)$(LIBDIR)" "$(DESTDIR)$(VENDORDIR)"

clean:
	rm -rf .build .build-release .cache
