# What the scenarios share. A check prints one line, "ok NAME" or "not ok NAME: why", and the end of the journal after a failure.

# is_true NAME COMMAND...
is_true() { becomes_true 0 "$@"; }

# becomes_true SECONDS NAME COMMAND...
becomes_true() {
    limit=$(($(uptime_seconds) + $1)) name=$2
    shift 2
    until output=$("$@" 2>&1); do
        if [ "$(uptime_seconds)" -ge "$limit" ]; then
            echo "not ok $name: $* says: $(printf '%s' "$output" | tail -n 1)"
            printf '%s\n' "$output" | tail -n 20 | sed 's/^/    /'
            # The settings of a probe of doctor are one long line.
            journalctl --no-pager -b -o short-monotonic -n 40 | cut -c 1-300 | sed 's/^/    /'
            return 0
        fi
        sleep 0.3
    done
    echo "ok $name"
}

uptime_seconds() { cut -d . -f 1 /proc/uptime; }
contains() { case $1 in *"$2"*) ;; *) echo "\"$1\" does not contain \"$2\""; return 1 ;; esac }

status_text() { systemctl show -P StatusText upgradelinkd; }
status_says() { contains "$(status_text)" "$1"; }
history_says() { contains "$(upgradelinkctl history | tr -s ' ')" "$1"; }
# Since this boot, in the simulated server's own words.
server_log() { journalctl --no-pager -b -o cat -u sim; }
server_got() { contains "$(server_log)" "$1"; }
product_is() { contains "$(cat "$1/version")" "VERSION_CODE=$2"; }
environment_is() { contains "$(tr -d '\0' </dev/vdd)" "PRIMARY=$1 GOOD=$2"; }
slot_is() { contains "$(cat /run/slot)" "$1"; }

# configure URLKEY VERSIONFILE, with the options of the installation on standard input
configure() {
    cat - >/run/install.toml
    cat >/etc/upgradelinkd/upgradelinkd.toml.d/machine.toml <<TOML
server.url = "http://127.0.0.1:8480"
credentials.accessKey = "access"
credentials.secretKey = "secret"
device.urlKey = "$1"
device.devKey = "machine-1"
device.versionFile = "$2"
verification.keys = ["$(tail -n 1 /srv/release.pub)"]
poll.splay = "1s"
poll.backOffBase = "1s"
poll.backOffCap = "5s"
install.retryDelay = "1s"
install.healthSettle = "1s"
$(cat /run/install.toml)
TOML
    chgrp upgradelinkd /etc/upgradelinkd/upgradelinkd.toml.d/machine.toml
    chmod 640 /etc/upgradelinkd/upgradelinkd.toml.d/machine.toml
}

# publish SOURCE VERSIONCODE URLKEY [OPTIONS...]. The server is on this machine, and a power cut must not take its files, nor what
# the scenario has configured.
publish() {
    source=$1 code=$2 key=$3
    shift 3
    upgradelink-sim release "$source" --version-code "$code" --version-name "v$code" --url-key "$key" --key /srv/release.key \
        --into /srv/releases "$@" && sync -f /srv/releases
}
journal_says() { contains "$(journalctl --no-pager -b -o cat -u upgradelinkd)" "$1"; }
