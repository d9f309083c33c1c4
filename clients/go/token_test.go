package leasehold

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

const secret = "a-secret-token-of-some-length"

func TestWhiteSpaceAroundATokenIsLeftOut(t *testing.T) {
	for _, token := range []string{secret + "\n", secret + "\r\n", "  " + secret + "\t"} {
		server := newFakeServer(t)
		if err := server.client(t, token).Operations().Cancel(within(t, 5*time.Second), "r", "1", ""); err != nil {
			t.Fatalf("%q: %v", token, err)
		}
		if !slices.Equal(server.authorization, []string{"Bearer " + secret}) {
			t.Errorf("%q was sent as %q", token, server.authorization)
		}
	}
}

func TestATokenThatNoHeaderCanCarryIsRefusedWhenTheClientIsMadeAndNotShown(t *testing.T) {
	for _, token := range []string{
		secret + "\n" + secret, "Bearer " + secret, secret + "\x00", secret + "é", "\xff" + secret, " \n",
	} {
		_, err := New(Config{Addresses: []string{"127.0.0.1:1"}, Token: token})
		if !errors.Is(err, ErrInvalidArgument) || !strings.Contains(err.Error(), "Config.Token must be") {
			t.Errorf("%q: the error is %v", token, err)
		}
		if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "secret") {
			t.Error("the error shows the token")
		}
	}
}

func TestAnEmptyTokenIsNone(t *testing.T) {
	server := newFakeServer(t)
	if err := server.client(t, "").Operations().Cancel(context.Background(), "r", "1", ""); err != nil {
		t.Fatal(err)
	}
	if len(server.authorization) != 0 {
		t.Errorf("%q was sent", server.authorization)
	}
}

func TestAPrintedOrLoggedConfigDoesNotShowItsToken(t *testing.T) {
	config := Config{Addresses: []string{"127.0.0.1:1"}, Token: secret, Owner: "billing"}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("connecting", "config", config)
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("connecting", "config", &config)
	nested := struct{ Leasehold Config }{config}
	shown := fmt.Sprintf("%v %+v %#v %s %q %d %x %v %+v %+v", config, config, config, config, config, config, config,
		&config, &config, nested) + logged.String()
	if strings.Contains(shown, "secret") || strings.Contains(shown, fmt.Sprintf("%x", secret)) {
		t.Errorf("the token is shown: %s", shown)
	}
	if !strings.Contains(shown, "billing") {
		t.Errorf("the other fields are not shown: %s", shown)
	}
}
