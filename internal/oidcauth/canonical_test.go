package oidcauth

import (
	"strings"
	"testing"
)

// TestATokenIsWrittenInOneWay: the signer knows a token that was closed by the hash of its bytes.
func TestATokenIsWrittenInOneWay(t *testing.T) {
	l := newLiar(t)
	p := l.party()
	in, err := l.signIn(p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.VerifyIDToken(t.Context(), in.IDToken, ""); err != nil {
		t.Fatal(err)
	}
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	parts := strings.Split(in.IDToken, ".")
	for i := range parts {
		other := strings.Split(in.IDToken, ".")
		other[i] = parts[i][:4] + "\n" + parts[i][4:]
		for what, raw := range map[string]string{
			"a line break":  strings.Join(other, "."),
			"a fourth part": in.IDToken + ".e30",
		} {
			if _, err := p.VerifyIDToken(t.Context(), raw, ""); err == nil {
				t.Errorf("%s in part %d: taken", what, i)
			}
		}
		if len(parts[i])%4 == 0 {
			continue // there are no unused bits
		}
		last := strings.IndexByte(digits, parts[i][len(parts[i])-1])
		other[i] = parts[i][:len(parts[i])-1] + digits[last^1:last^1+1]
		if _, err := p.VerifyIDToken(t.Context(), strings.Join(other, "."), ""); err == nil {
			t.Errorf("unused bits in part %d: taken", i)
		}
	}
}
