# `make help` lists the targets.
SHELL = /bin/sh
PREFIX ?= /usr
DESTDIR ?=
BINDIR = $(PREFIX)/bin
SBINDIR = $(PREFIX)/sbin
SHAREDIR = $(PREFIX)/share
DOCDIR = $(SHAREDIR)/doc/upgradelinkd
LIBDIR = $(PREFIX)/lib/upgradelinkd
# The agent reads these directories independently of PREFIX.
VENDORDIR = /usr/lib/upgradelinkd
CONFDIR = /etc/upgradelinkd
# systemd's own directories differ between distributions: Debian 12 has units below /lib.
systemd_directory = $(or $(shell pkg-config --variable=$(1) systemd 2>/dev/null),$(2))
UNITDIR ?= $(call systemd_directory,systemdsystemunitdir,/usr/lib/systemd/system)
GENERATORDIR ?= $(call systemd_directory,systemdsystemgeneratordir,/usr/lib/systemd/system-generators)
CATALOGDIR ?= $(call systemd_directory,catalogdir,/usr/lib/systemd/catalog)
DBUSDIR ?= /usr/share/dbus-1
POLKITDIR ?= /usr/share/polkit-1/actions
SYSUSERSDIR ?= $(call systemd_directory,sysusersdir,/usr/lib/sysusers.d)
TMPFILESDIR ?= $(call systemd_directory,tmpfilesdir,/usr/lib/tmpfiles.d)
UNITS = upgradelinkd.service upgradelink-installer.service upgradelink-installer-resume.service upgradelink-boot.service
# It runs at each boot, whichever units the operator enables.
RESUME_UNIT = upgradelink-installer-resume.service

# All four programs and two update modules are one file with the required parts of the Swift runtime, so the device needs no
# Swift. `make bench` measures the size. A program that exports nothing lets the linker leave out what it does not need, function
# by function, and functions with the same code are kept once (ICF: nothing here compares the addresses of functions). Relative
# relocations in the compact form (RELR, known to the C library since 2.36) are another megabyte.
RELEASE = -c release -Xswiftc -Osize --static-swift-stdlib --scratch-path .build-release \
    -Xswiftc -Xfrontend -Xswiftc -function-sections -Xswiftc -use-ld=lld -Xlinker -O2 -Xlinker --icf=all \
    -Xlinker --version-script=$(CURDIR)/packaging/exports.map -Xlinker -z -Xlinker pack-relative-relocs
STAGE = .build-release/stage
# Starts a program of STAGE, which may be of another architecture.
EMULATOR =

# Swift's package manager leaves temporary directories behind; below .cache "make clean" removes them. Each target has a directory
# of its own, because "make test" builds several at a time.
TEMPORARY = $(CURDIR)/.cache/tmp/$@
SWIFT = rm -rf "$(TEMPORARY)"/TemporaryDirectory.*; mkdir -p "$(TEMPORARY)"; TMPDIR="$(TEMPORARY)" swift

.PHONY: help deps build modules demo picture test explore diagram generate soak fuzz test-asan test-tsan test-leaks lint programs release bench fleet install completions install-files uninstall deb clean
.PHONY: test-arm64 test-machine

help:
	@echo "make demo      build, and show the update of a device (installs nothing, leaves no files behind)"
	@echo "make demo-device   build the disk of a device with two slots, and update its whole image in qemu (ARCH=arm64 for ARM; MODULE=image, without RAUC)"
	@echo "make test      install missing packages, and run every test"
	@echo "make test-arm64   install the arm64 packages on an emulated machine, and update it with reboots and power cuts"
	@echo "make test-machine   the same with the packages of this machine (ARCH=$(ARCH))"
	@echo "make explore   explore every state of the update machine"
	@echo "make soak      power cuts at thirty random moments (SEED=…)"
	@echo "make test-asan, make test-tsan   run the tests with the address or the thread sanitizer"
	@echo "make test-leaks   poll for an hour (POLL_SECONDS=$(POLL_SECONDS)) with the leak sanitizer"
	@echo "make mutate    plant one-line mistakes, one at a time, and print which of them the tests notice (MUTATE='--only Host/')"
	@echo "make fuzz      fuzz everything that reads external data (FUZZ_SECONDS=$(FUZZ_SECONDS) for each target)"
	@echo "make install   build a release, and install it below DESTDIR with PREFIX ($(PREFIX)); then:"
	@echo "               edit $(CONFDIR)/upgradelinkd.toml; systemctl enable --now upgradelinkd"
	@echo "make picture   run the demonstration, and write its picture to docs/demo.svg"
	@echo "make install-sim   the same for the simulated server, upgradelink-sim"
	@echo "make install-files, make install-sim-files   install what STAGE contains, for example programs of another architecture"
	@echo "make deb       build the Debian packages below .cache/deb; SUITE=trixie for Debian 13, ARCH=arm64 for ARM devices"
	@echo "make release   build all packages of a tagged version, sign them, and add them to the apt repository (MINISIGN_KEY=…"
	@echo "               APT_KEY=… APT_URL=…); below .cache/release; docs/releasing.md"
	@echo "make bench     compare with other update programs (as root)"
	@echo "make fleet     simulate a million devices and their server"
	@echo "make build     build for development"
	@echo "make generate  write the documents that are made from the options and from the D-Bus interface"
	@echo "make diagram   write docs/states.md from the state machine"
	@echo "make uninstall, make uninstall-sim   remove what make install and make install-sim installed"
	@echo "make lint      check the format"
	@echo "make clean     remove all build products"

deps:
	@packaging/dependencies.sh build

build: deps
	@$(SWIFT) build --quiet

# The update modules as the package installs them, with the program of a development build.
MODULES = .build/debug/update-modules
BUILT_IN_MODULES = file directory image
modules: build
	@mkdir -p $(MODULES)
	@for name in $(BUILT_IN_MODULES); do ln -sf ../upgradelink-module $(MODULES)/$$name; done
	@ln -sf "$(CURDIR)"/packaging/modules/* $(MODULES)/

demo: modules
	@.build/debug/upgradelink-sim demo --programs "$(CURDIR)/.build/debug" --modules "$(CURDIR)/$(MODULES)"

# A device with two slots in qemu, from the packages: with GRUB, and upgradelinkd with the module rauc or image. Everything is below
# .cache/device.
.PHONY: demo-device
demo-device: ARCH ?= $(shell dpkg --print-architecture)
demo-device: MODULE ?= rauc
demo-device:
	@packaging/dependencies.sh device $(ARCH)
	@$(MAKE) --no-print-directory deb ARCH=$(ARCH)
	@exec /usr/bin/python3 -B demo/device/main.py --architecture $(ARCH) --module $(MODULE) --packages .cache/deb --cache .cache/device

# The picture in README.md, generated from a real run.
picture: modules
	@.build/debug/upgradelink-sim demo --programs "$(CURDIR)/.build/debug" --modules "$(CURDIR)/$(MODULES)" \
	    --picture "$(CURDIR)/docs/demo.svg"

lint:
	@$(SWIFT) format lint --strict --parallel --recursive Package.swift Sources Tests

test:
	@packaging/dependencies.sh test
	$(MAKE) --no-print-directory lint
	@# One of them alone does not keep two processors busy.
	@$(MAKE) --no-print-directory -j3 deb tests test-systems
	@Tests/run.sh

# What "make test" needs: the tests, and what they boot.
.PHONY: tests test-systems
tests:
	@$(SWIFT) build --build-tests

test-systems:
	@packaging/test-systems.sh

# An emulated machine with Debian 13 installs the packages, and is updated, with reboots and power cuts. Needs root.
# MACHINE contains options: --only PART, --time-limit SECONDS.
ARCH ?= amd64
test-machine:
	@packaging/dependencies.sh machine
	@$(MAKE) --no-print-directory deb ARCH=$(ARCH)
	@# "make test" runs the unit tests of this machine's own architecture.
	@test $(ARCH) = $(NATIVE_ARCH) || test -n "$(SWIFT_SDK)" || packaging/cross/tests.sh $(ARCH)
	@/usr/bin/python3 -B Tests/Machine/machine.py $(ARCH) $(MACHINE)

test-arm64:
	@$(MAKE) --no-print-directory test-machine ARCH=arm64

# Explores the whole state space of the state machine, with repeated attempts, and prints the number of states.
explore: build
	@export UPGRADELINKD_EXPLORE=1; $(SWIFT) test --scratch-path .build-explore -c release -Xswiftc -enable-testing \
	    --filter ExplorationTests

# Writes the documents about the options from the schema: the packaged configuration, its manual page and reference, and the
# JSON schema for editors.
generate: build
	@export UPGRADELINKD_GENERATE=1; $(SWIFT) test --filter "GeneratedDocumentTests|BusDescriptionTests"

# Generates docs/states.md from the state machine.
diagram: build
	@export UPGRADELINKD_DIAGRAM=1; $(SWIFT) test --filter DiagramTests

# Long tests: thirty power cuts at random moments. Prints the seed; needs root.
SEED ?= $(shell date +%s)
soak:
	@packaging/dependencies.sh test
	@$(MAKE) --no-print-directory deb
	@echo "SEED=$(SEED)"
	@$(SWIFT) build --build-tests
	@for part in AgentTests.FleetTests PowerLossTests CrashMatrixTests; do \
	    export UPGRADELINKD_SOAK=$(SEED) SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=8; \
	    $(SWIFT) test --skip-build --filter $$part || exit 1; done

# The tests with a sanitizer for memory or threads. The tests that boot containers are excluded, because they use the package,
# which has no sanitizer. The target test-leaks checks for leaks.
SANITIZED = --skip SystemTests
test-asan:
	@packaging/dependencies.sh test
	@$(SWIFT) build --build-tests --scratch-path .build-asan --sanitize=address
	@export UPGRADELINKD_SANITIZER=address SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=4 ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0; \
	    $(SWIFT) test --skip-build --scratch-path .build-asan --sanitize=address $(SANITIZED)

test-tsan:
	@packaging/dependencies.sh test
	@$(SWIFT) build --build-tests --scratch-path .build-tsan --sanitize=thread
	@export UPGRADELINKD_SANITIZER=thread SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=4 TSAN_OPTIONS=suppressions=$(CURDIR)/Tests/threads.txt; \
	    $(SWIFT) test --skip-build --scratch-path .build-tsan --sanitize=thread $(SANITIZED)

# Plants the mistakes of Tests/Mutants in a copy below .cache/mutants, one at a time, and prints which of them the tests notice.
# MUTATE contains options: --only REGEX, --named-suites-only. Needs root.
.PHONY: mutate
mutate:
	@packaging/dependencies.sh test
	@/usr/bin/python3 -B Tests/Mutation/mutate.py $(MUTATE)

# The agent polls ten times a second for POLL_SECONDS, and must not leak memory or lose a report.
POLL_SECONDS ?= 3600
test-leaks:
	@packaging/dependencies.sh test
	@$(SWIFT) build --build-tests --scratch-path .build-asan --sanitize=address
	@export UPGRADELINKD_SANITIZER=address UPGRADELINKD_POLL_SECONDS=$(POLL_SECONDS); \
	    export ASAN_OPTIONS=detect_leaks=0 LSAN_OPTIONS=suppressions=$(CURDIR)/Tests/leaks.txt:print_suppressions=0; \
	    $(SWIFT) test --skip-build --scratch-path .build-asan --sanitize=address --filter ResourceTests

# Runs each target for FUZZ_SECONDS, from the seeds in the repository; the findings are in .cache/fuzz.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS = reply signature date configuration state installMessage fetchReport busCall text
fuzz: deps
	@$(SWIFT) build --quiet --scratch-path .build-fuzz --product upgradelink-fuzz -Xswiftc -sanitize=fuzzer \
	    -Xswiftc -DFUZZING -Xswiftc -parse-as-library
	@for target in $(FUZZ_TARGETS); do mkdir -p .cache/fuzz/$$target/found; echo "== $$target"; \
	    SWIFT_BACKTRACE=enable=no FUZZ_TARGET=$$target .build-fuzz/debug/upgradelink-fuzz -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 \
	    -max_len=8192 -print_final_stats=1 -artifact_prefix=.cache/fuzz/$$target/found/ .cache/fuzz/$$target \
	    Tests/FuzzCorpus/$$target 2>&1 | grep -E "Seed:|stat::(number_of_executed_units|average)|ERROR|SUMMARY|Test unit written" || exit 1; \
	    [ -z "$$(ls .cache/fuzz/$$target/found)" ] || exit 1; done

programs:
	@packaging/dependencies.sh programs
	@$(SWIFT) build $(RELEASE) --product upgradelink
	@$(SWIFT) build $(RELEASE) --product upgradelink-sim
	@mkdir -p $(STAGE)
	@for name in upgradelink upgradelink-sim; do strip -o $(STAGE)/$$name .build-release/release/$$name || exit 1; done
	@for name in upgradelinkd upgradelinkctl upgradelink-fetch upgradelink-installer; do ln -sf upgradelink $(STAGE)/$$name; done

# Compares with other update programs in one run; needs root. BENCH=--quick is shorter.
bench: programs
	@packaging/dependencies.sh bench
	@/usr/bin/python3 Tests/Benchmarks/bench.py $(STAGE) $(BENCH)

# Simulates a million devices in virtual time; FLEET contains options.
fleet: deps
	@$(SWIFT) build --quiet -c release --scratch-path .build-fleet --product upgradelink-sim
	@.build-fleet/release/upgradelink-sim fleet --chart docs/fleet.svg $(FLEET)

# The package upgradelinkd contains what this target installs, and upgradelink-sim what the next one does.
install: programs
	@$(MAKE) --no-print-directory completions
	@$(MAKE) --no-print-directory install-files
	@test -n "$(DESTDIR)" || packaging/activate.sh

# The simulated server, for developers and integrators: a device does not need it.
.PHONY: install-sim install-sim-files uninstall-sim
install-sim: programs
	@$(MAKE) --no-print-directory completions
	@$(MAKE) --no-print-directory install-sim-files

# The programs write the completions themselves. Programs of another architecture cannot run here: build their completions with
# programs of this machine, for example `make completions STAGE=.build/debug COMPLETIONS=DIRECTORY`.
COMPLETIONS ?= $(STAGE)/completions
completions:
	@mkdir -p "$(COMPLETIONS)"
	@for name in upgradelinkctl upgradelink-sim; do for shell in bash zsh fish; do \
	    $(EMULATOR) "$(STAGE)/$$name" --generate-completion-script $$shell >"$(COMPLETIONS)/$$name.$$shell" && \
	    sed -i '1{/^#!/d}' "$(COMPLETIONS)/$$name.$$shell" || exit 1; done; done

# Installs the completions of one program, if COMPLETIONS has them.
install_completions = if [ -e "$(COMPLETIONS)/$(1).bash" ]; then \
	    install -D -m 644 "$(COMPLETIONS)/$(1).bash" "$(DESTDIR)$(SHAREDIR)/bash-completion/completions/$(1)" && \
	    install -D -m 644 "$(COMPLETIONS)/$(1).zsh" "$(DESTDIR)$(SHAREDIR)/zsh/vendor-completions/_$(1)" && \
	    install -D -m 644 "$(COMPLETIONS)/$(1).fish" "$(DESTDIR)$(SHAREDIR)/fish/vendor_completions.d/$(1).fish"; \
	else echo "$(COMPLETIONS) has no shell completions of $(1): they are left out"; fi

# The next two compile nothing and run no program from STAGE, so they serve builds for another architecture.
SIM_MANUAL = packaging/man/upgradelink-sim.1
MANUALS = $(filter-out $(SIM_MANUAL),$(wildcard packaging/man/*))
# The update modules that are scripts. The others are part of the program.
UPDATE_MODULES ?= $(notdir $(filter-out %.uninterruptible,$(wildcard packaging/modules/*)))
install-files:
	install -d $(addprefix "$(DESTDIR),$(addsuffix ",$(SBINDIR) $(BINDIR) $(LIBDIR) $(VENDORDIR)/modules $(VENDORDIR)/bootloaders \
	    $(VENDORDIR)/upgradelinkd.toml.d $(UNITDIR) $(GENERATORDIR) $(SYSUSERSDIR) $(TMPFILESDIR) $(CATALOGDIR) $(DBUSDIR)/system.d \
	    $(DBUSDIR)/interfaces $(POLKITDIR) $(SHAREDIR)/upgradelinkd $(SHAREDIR)/man/man1 $(SHAREDIR)/man/man5 \
	    $(SHAREDIR)/man/man7 $(SHAREDIR)/man/man8))
	install "$(STAGE)/upgradelink" "$(DESTDIR)$(LIBDIR)/"
	ln -sfr "$(DESTDIR)$(LIBDIR)/upgradelink" "$(DESTDIR)$(SBINDIR)/upgradelinkd"
	ln -sfr "$(DESTDIR)$(LIBDIR)/upgradelink" "$(DESTDIR)$(BINDIR)/upgradelinkctl"
	ln -sf upgradelink "$(DESTDIR)$(LIBDIR)/upgradelink-fetch"
	ln -sf upgradelink "$(DESTDIR)$(LIBDIR)/upgradelink-installer"
	for name in $(UPDATE_MODULES); do \
	    install packaging/modules/$$name "$(DESTDIR)$(VENDORDIR)/modules/" || exit 1; \
	    ! test -e packaging/modules/$$name.uninterruptible || \
	    install -m 644 packaging/modules/$$name.uninterruptible "$(DESTDIR)$(VENDORDIR)/modules/" || exit 1; done
	for name in $(BUILT_IN_MODULES); do \
	    ln -sfr "$(DESTDIR)$(LIBDIR)/upgradelink" "$(DESTDIR)$(VENDORDIR)/modules/$$name" || exit 1; done
	install packaging/bootloaders/* "$(DESTDIR)$(VENDORDIR)/bootloaders/"
	install -m 644 config/vendor.toml "$(DESTDIR)$(VENDORDIR)/upgradelinkd.toml"
	install -m 644 config/upgradelinkd.schema.json "$(DESTDIR)$(SHAREDIR)/upgradelinkd/"
	sed '1s|/usr/share/upgradelinkd|$(SHAREDIR)/upgradelinkd|' config/upgradelinkd.toml \
	    >"$(DESTDIR)$(SHAREDIR)/upgradelinkd/upgradelinkd.toml"
	chmod 644 "$(DESTDIR)$(SHAREDIR)/upgradelinkd/upgradelinkd.toml"
	install -m 644 packaging/sysusers/upgradelinkd.conf "$(DESTDIR)$(SYSUSERSDIR)/"
	sed 's|/usr/share/upgradelinkd|$(SHAREDIR)/upgradelinkd|' packaging/tmpfiles/upgradelinkd.conf \
	    >"$(DESTDIR)$(TMPFILESDIR)/upgradelinkd.conf"
	chmod 644 "$(DESTDIR)$(TMPFILESDIR)/upgradelinkd.conf"
	for unit in $(UNITS); do \
	    sed 's|@SBINDIR@|$(SBINDIR)|; s|@BINDIR@|$(BINDIR)|; s|@LIBDIR@|$(LIBDIR)|' packaging/systemd/$$unit.in >"$(DESTDIR)$(UNITDIR)/$$unit" && \
	    chmod 644 "$(DESTDIR)$(UNITDIR)/$$unit" || exit 1; done
	install -m 644 packaging/systemd/upgradelink-installer.socket "$(DESTDIR)$(UNITDIR)/"
	install packaging/systemd/upgradelinkd-generator "$(DESTDIR)$(GENERATORDIR)/"
	install -d "$(DESTDIR)$(UNITDIR)/multi-user.target.wants"
	ln -sf ../$(RESUME_UNIT) "$(DESTDIR)$(UNITDIR)/multi-user.target.wants/"
	install -m 644 packaging/catalog/upgradelinkd.catalog "$(DESTDIR)$(CATALOGDIR)/"
	install -m 644 packaging/dbus/org.upgradelink.Agent1.conf "$(DESTDIR)$(DBUSDIR)/system.d/"
	install -m 644 packaging/dbus/org.upgradelink.Agent1.xml "$(DESTDIR)$(DBUSDIR)/interfaces/"
	install -m 644 packaging/polkit/org.upgradelink.policy "$(DESTDIR)$(POLKITDIR)/"
	for page in $(MANUALS); do install -m 644 $$page "$(DESTDIR)$(SHAREDIR)/man/man$${page##*.}/" || exit 1; done
	packaging/install-docs.sh "$(DESTDIR)$(DOCDIR)" "$(SHAREDIR)"
	@$(call install_completions,upgradelinkctl)

install-sim-files:
	install -d $(addprefix "$(DESTDIR),$(addsuffix ",$(BINDIR) $(SHAREDIR)/man/man1 $(SHAREDIR)/doc/upgradelink-sim/examples))
	install "$(STAGE)/upgradelink-sim" "$(DESTDIR)$(BINDIR)/"
	install -m 644 $(SIM_MANUAL) "$(DESTDIR)$(SHAREDIR)/man/man1/"
	install -m 644 config/upgradelink-sim.toml "$(DESTDIR)$(SHAREDIR)/doc/upgradelink-sim/examples/"
	@$(call install_completions,upgradelink-sim)

uninstall-sim:
	rm -f "$(DESTDIR)$(BINDIR)/upgradelink-sim" "$(DESTDIR)$(SHAREDIR)/man/man1/upgradelink-sim.1" \
	    "$(DESTDIR)$(SHAREDIR)/bash-completion/completions/upgradelink-sim" \
	    "$(DESTDIR)$(SHAREDIR)/zsh/vendor-completions/_upgradelink-sim" \
	    "$(DESTDIR)$(SHAREDIR)/fish/vendor_completions.d/upgradelink-sim.fish"
	rm -rf "$(DESTDIR)$(SHAREDIR)/doc/upgradelink-sim"

uninstall:
	rm -f "$(DESTDIR)$(SBINDIR)/upgradelinkd" "$(DESTDIR)$(BINDIR)/upgradelinkctl" \
	    $(foreach unit,$(UNITS) upgradelink-installer.socket upgradelink-installer@.service,"$(DESTDIR)$(UNITDIR)/$(unit)") \
	    "$(DESTDIR)$(UNITDIR)/multi-user.target.wants/$(RESUME_UNIT)" "$(DESTDIR)$(GENERATORDIR)/upgradelinkd-generator" \
	    "$(DESTDIR)$(SYSUSERSDIR)/upgradelinkd.conf" "$(DESTDIR)$(TMPFILESDIR)/upgradelinkd.conf" \
	    "$(DESTDIR)$(CATALOGDIR)/upgradelinkd.catalog" \
	    "$(DESTDIR)$(DBUSDIR)/system.d/org.upgradelink.Agent1.conf" \
	    "$(DESTDIR)$(DBUSDIR)/interfaces/org.upgradelink.Agent1.xml" \
	    "$(DESTDIR)$(POLKITDIR)/org.upgradelink.policy" \
	    "$(DESTDIR)$(SHAREDIR)/bash-completion/completions/upgradelinkctl" \
	    "$(DESTDIR)$(SHAREDIR)/zsh/vendor-completions/_upgradelinkctl" \
	    "$(DESTDIR)$(SHAREDIR)/fish/vendor_completions.d/upgradelinkctl.fish"
	for page in $(MANUALS); do rm -f "$(DESTDIR)$(SHAREDIR)/man/man$${page##*.}/$${page##*/}"; done
	rm -rf "$(DESTDIR)$(DOCDIR)" "$(DESTDIR)$(SHAREDIR)/upgradelinkd"
	rm -f "$(DESTDIR)$(VENDORDIR)/upgradelinkd.toml" \
	    $(foreach name,$(BUILT_IN_MODULES) $(notdir $(wildcard packaging/modules/*)),"$(DESTDIR)$(VENDORDIR)/modules/$(name)") \
	    $(foreach name,$(notdir $(wildcard packaging/bootloaders/*)),"$(DESTDIR)$(VENDORDIR)/bootloaders/$(name)") \
	    $(foreach name,upgradelink upgradelink-fetch upgradelink-installer,"$(DESTDIR)$(LIBDIR)/$(name)")
	# What the integrator put there stays.
	rmdir --ignore-fail-on-non-empty "$(DESTDIR)$(VENDORDIR)/upgradelinkd.toml.d" "$(DESTDIR)$(VENDORDIR)/modules" \
	    "$(DESTDIR)$(VENDORDIR)/bootloaders" \
	    "$(DESTDIR)$(VENDORDIR)" "$(DESTDIR)$(LIBDIR)" 2>/dev/null || true
	@test -n "$(DESTDIR)" || ! test -d /run/systemd/system || systemctl daemon-reload

# Builds the packages for a Debian release and an architecture, below .cache/deb. Those for the running release are built with
# this machine's libraries, those for others with the ones that they will find there. Debian 12 has no compiler for arm64.
RUNNING_SUITE := $(shell . /etc/os-release && echo $$VERSION_CODENAME)
NATIVE_ARCH := $(shell dpkg --print-architecture 2>/dev/null)
ARCH ?= $(NATIVE_ARCH)
SUITE ?= $(if $(filter $(NATIVE_ARCH),$(ARCH)),$(RUNNING_SUITE),trixie)
ifeq ($(SUITE) $(ARCH),$(RUNNING_SUITE) $(NATIVE_ARCH))
deb: programs
	@packaging/dependencies.sh deb
	@packaging/deb.sh $(SUITE) $(ARCH) "$(CURDIR)/.cache/deb"
else
deb:
	@packaging/dependencies.sh cross
	@SWIFT_FLAGS="$(RELEASE)" packaging/cross/deb.sh $(SUITE) $(ARCH) "$(CURDIR)/.cache/deb"
endif

# The checks and the keys first, because the builds take long. A package that an earlier run has left must not be released.
RELEASES = bookworm/amd64 trixie/amd64 trixie/arm64
release:
	@packaging/dependencies.sh publish
	@packaging/release-version.sh >/dev/null
	@packaging/release-keys.sh
	@rm -f .cache/deb/*.deb
	@for release in $(RELEASES); do \
	    $(MAKE) --no-print-directory deb SUITE=$${release%/*} ARCH=$${release#*/} || [ -n "$(RELEASE_PARTIAL)" ] || exit 1; done
	@packaging/release.sh .cache/deb .cache/release $(RELEASES)

clean:
	rm -rf .build .build-release .build-explore .build-fuzz .build-asan .build-tsan .build-fleet .cache
