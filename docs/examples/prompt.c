/* A prompt for upgradelinkd on the terminal, over D-Bus with sd-bus (Debian: libsystemd-dev).
 *
 *     cc -Wall -o prompt prompt.c $(pkg-config --cflags --libs libsystemd)
 *
 * The user who runs it must be in the group upgradelink. See org.upgradelink.Agent1(5). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#define NAME "org.upgradelink.Agent1"
#define PATH "/org/upgradelink/Agent1"

struct offer {
    uint64_t code, size; /* code is 0 if nothing is offered */
    char name[512], text[16400], source[16];
};

static int must_ask = 1;

/* Reads an entry's value, v. Values that this program does not know are skipped: later versions have more. */
static int read_value(sd_bus_message *reply, const char *key, struct offer *offer) {
    const char *text = "";
    int r;
    if (!strcmp(key, "versionCode")) return sd_bus_message_read(reply, "v", "t", &offer->code);
    if (!strcmp(key, "size")) return sd_bus_message_read(reply, "v", "t", &offer->size);
    if (strcmp(key, "versionName") && strcmp(key, "text") && strcmp(key, "source")) return sd_bus_message_skip(reply, "v");
    if ((r = sd_bus_message_read(reply, "v", "s", &text)) < 0) return r;
    if (key[0] == 'v') snprintf(offer->name, sizeof offer->name, "%s", text);
    if (key[0] == 't') snprintf(offer->text, sizeof offer->text, "%s", text);
    if (key[0] == 's') snprintf(offer->source, sizeof offer->source, "%s", text);
    return 0;
}

/* Reads the dictionary Offer, a{sv}. */
static int read_offer(sd_bus *bus, struct offer *offer) {
    sd_bus_message *reply = NULL;
    const char *key;
    memset(offer, 0, sizeof *offer);
    int r = sd_bus_get_property(bus, NAME, PATH, NAME, "Offer", NULL, &reply, "a{sv}");
    if (r >= 0) r = sd_bus_message_enter_container(reply, 'a', "{sv}");
    while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
        if ((r = sd_bus_message_read(reply, "s", &key)) >= 0) r = read_value(reply, key, offer);
        if (r >= 0) r = sd_bus_message_exit_container(reply);
    }
    sd_bus_message_unref(reply);
    return r;
}

#define call(bus, error, method, ...) sd_bus_call_method(bus, NAME, PATH, NAME, method, error, NULL, __VA_ARGS__)

static int needs_consent(sd_bus *bus) {
    char *state = NULL;
    int needs = sd_bus_get_property_string(bus, NAME, PATH, NAME, "State", NULL, &state) >= 0 && !strcmp(state, "consent");
    free(state);
    return needs;
}

/* Asks as long as the offered version needs consent. Returns 0 at the end of the input. */
static int ask(sd_bus *bus) {
    struct offer offer;
    char answer[16];
    while (needs_consent(bus) && read_offer(bus, &offer) >= 0 && offer.code > 0) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        uint32_t left = 0;
        int r = 0;
        sd_bus_get_property_trivial(bus, NAME, PATH, NAME, "DeferralsLeft", NULL, 'u', &left);
        printf("Update to %s (%llu bytes, from the %s)\n%s\n[n]ow, next [w]indow, [l]ater (%u left), ne[v]er? ",
            offer.name, (unsigned long long)offer.size, offer.source, offer.text, left);
        fflush(stdout);
        if (!fgets(answer, sizeof answer, stdin)) return 0;
        if (answer[0] == 'n') r = call(bus, &error, "Accept", "ts", offer.code, "now");
        if (answer[0] == 'w') r = call(bus, &error, "Accept", "ts", offer.code, "window");
        if (answer[0] == 'l') r = call(bus, &error, "Defer", "tt", offer.code, (uint64_t)3600);
        if (answer[0] == 'v') r = call(bus, &error, "Reject", "t", offer.code);
        /* The offer was replaced, or the last deferral is used: the message says why. */
        if (r < 0) printf("%s\n", error.message ? error.message : strerror(-r));
        sd_bus_error_free(&error);
        if (answer[0] == 'l' && r >= 0) break;
    }
    return 1;
}

static int consent_requested(sd_bus_message *message, void *data, sd_bus_error *error) {
    (void)message, (void)data, (void)error;
    must_ask = 1; /* asked outside of the handler, which must not block */
    return 0;
}

static int finished(sd_bus_message *message, void *data, sd_bus_error *error) {
    uint64_t code;
    const char *name, *result, *reason, *reason_code;
    (void)data, (void)error;
    if (sd_bus_message_read(message, "tssss", &code, &name, &result, &reason, &reason_code) >= 0)
        printf("%s: %s %s\n", name, result, reason), fflush(stdout);
    return 0;
}

int main(void) {
    sd_bus *bus = NULL;
    int r = sd_bus_open_system(&bus);
    if (r >= 0) r = sd_bus_match_signal(bus, NULL, NAME, PATH, NAME, "ConsentRequested", consent_requested, NULL);
    if (r >= 0) r = sd_bus_match_signal(bus, NULL, NAME, PATH, NAME, "Finished", finished, NULL);
    /* The signal may be older than this program, so it asks at once. */
    while (r >= 0) {
        if (must_ask) {
            must_ask = 0;
            if (!ask(bus)) break;
        }
        r = sd_bus_process(bus, NULL);
        if (r == 0) r = sd_bus_wait(bus, UINT64_MAX);
    }
    if (r < 0) fprintf(stderr, "prompt: %s\n", strerror(-r));
    sd_bus_flush_close_unref(bus);
    return r < 0;
}
