package signer

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// askerOf returns what an id token says about the sign-in, without session and device. It cuts texts and lists to the
// limits of the statement.
func askerOf(who Identity) ledger.Asker {
	a := ledger.Asker{Issuer: who.Principal.Issuer, Subject: who.Principal.Subject, SignedInMS: millis(who.SignedInAt),
		SecondFactorMS: millis(who.SecondFactorAt)}
	for _, m := range who.Methods[:min(len(who.Methods), ledger.MaxMethods)] {
		a.Methods = append(a.Methods, fitting(m, ledger.MaxAskerMethod))
	}
	return a
}

// millis returns Unix milliseconds, and 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(t.UnixMilli(), 0)
}

// stated completes a statement with session, device and a random nonce, and returns its encoding.
func stated(a ledger.Asker, sid id.Session, device id.Device) ([]byte, error) {
	a.V, a.Session, a.Device = ledger.AskerVersion, sid, string(device)
	rand.Read(a.Nonce[:])
	a.Issuer, a.Subject = fitting(a.Issuer, ledger.MaxAskerText), fitting(a.Subject, ledger.MaxAskerText)
	raw, err := a.Marshal()
	if err != nil {
		return nil, fmt.Errorf("open leaf: %w", err)
	}
	return raw, nil
}

// fitting cuts a text of the provider to most bytes of UTF-8. A session must not fail because a text is too long for
// the statement.
func fitting(t string, most int) string {
	t = strings.ToValidUTF8(t, "\uFFFD")
	return strings.ToValidUTF8(t[:min(len(t), most)], "")
}
