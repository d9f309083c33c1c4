package leasehold

import (
	"context"
	"errors"
	"fmt"
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
