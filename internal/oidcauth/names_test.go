package oidcauth

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestNamesAreCleanedAtSignInForGatewayAndSigner: the gateway's row and the signer's pass name a person alike.
func TestNamesAreCleanedAtSignInForGatewayAndSigner(t *testing.T) {
	long := strings.Repeat("é", 99)
	for what, c := range map[string]struct {
		claims map[string]any
		want   string
	}{
		"an ordinary name":            {map[string]any{"name": "Zoë O'Hara-Łoś 漢字 🙂"}, "Zoë O'Hara-Łoś 漢字 🙂"},
		"control characters":          {map[string]any{"name": "T\x1b[31mess\x07\u009b"}, "T[31mess"},
		"bidi characters":             {map[string]any{"name": "\u202eevil\u202c\u2066 Tess\u200f"}, "evil Tess"},
		"characters of no width":      {map[string]any{"name": "Te\u200bs\ufeffs\u00ad\U000e0041"}, "Tess"},
		"line separators":             {map[string]any{"name": "Tess\u2028Tech\u2029\nnician\u0085"}, "Tess Tech nician"},
		"white space":                 {map[string]any{"name": " \t\u00a0Tess  \u3000 Tech \r\n"}, "Tess Tech"},
		"replacement characters":      {map[string]any{"name": "T\ufffdess"}, "Tess"},
		"private and unassigned":      {map[string]any{"name": "T\ue000e\U0010ffff\u0378ss"}, "Tess"},
		"a mark without its letter":   {map[string]any{"name": "\u0301 Tess e\u0301"}, "Tess e\u0301"},
		"100 characters":              {map[string]any{"name": long + "e"}, long + "e"},
		"101 characters":              {map[string]any{"name": long + "ee"}, long + "…"},
		"a mark after 100 characters": {map[string]any{"name": long + "e\u0301"}, long + "…"},
		"a word ends at the cut":      {map[string]any{"name": long[:len(long)-2] + " ee"}, long[:len(long)-2] + "…"},
		"an empty name":               {map[string]any{"name": "", "preferred_username": "tess"}, "tess"},
		"a name of nothing visible": {map[string]any{"name": "\u200b\u3164\u2800 \u115f",
			"preferred_username": " te\u202ess"}, "tess"},
		"a name that is no text": {map[string]any{"name": 7, "preferred_username": "tess"}, "tess"},
		"an address after no names": {map[string]any{"name": "\u200b", "preferred_username": "\u200b",
			"email": "t@example.com\u200b"}, "t@example.com"},
		"the subject after all":        {map[string]any{"name": nil, "preferred_username": "\n", "email": ""}, "u-1"},
		"a subject of nothing visible": {map[string]any{"name": nil, "sub": "\u200b\x07"}, `\u200b\a`},
	} {
		t.Run(what, func(t *testing.T) {
			l := newLiar(t)
			l.claims = c.claims
			p := l.party()
			in, err := l.signIn(p)
			if err != nil {
				t.Fatal(err)
			}
			who, err := p.VerifyIDToken(t.Context(), in.IDToken, in.AccessToken)
			if err != nil {
				t.Fatal(err)
			}
			if in.Name != c.want || who.Name != c.want {
				t.Errorf("the gateway has %q and the signer %q, want %q", in.Name, who.Name, c.want)
			}
		})
	}
}

// TestANameThatShowsNothingIsAskedForAtUserInfo, by the gateway and by a signer of its own.
func TestANameThatShowsNothingIsAskedForAtUserInfo(t *testing.T) {
	for what, c := range map[string]struct {
		said map[string]any
		want string
	}{
		"a name":              {map[string]any{"name": " Tess\u202e  T. "}, "Tess T."},
		"a user name alone":   {nil, "tess"},
		"nothing that counts": {map[string]any{"name": "\u200b", "preferred_username": "\u200b", "email": "\x07"}, "u-1"},
	} {
		t.Run(what, func(t *testing.T) {
			l := newLiar(t)
			l.claims = map[string]any{"name": "\u200b"}
			l.userinfo = says(tess(c.said))
			in, err := l.signIn(l.party())
			if err != nil {
				t.Fatal(err)
			}
			who, err := l.party().VerifyIDToken(t.Context(), in.IDToken, in.AccessToken)
			if err != nil || in.Name != c.want || who.Name != c.want {
				t.Errorf("the gateway has %q and the signer %q, %v; want %q", in.Name, who.Name, err, c.want)
			}
		})
	}
	l := newLiar(t) // whose userinfo is down
	l.claims = map[string]any{"name": "\u200b"}
	l.userinfo = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	p := l.party()
	in, err := l.signIn(p)
	who, err2 := p.VerifyIDToken(t.Context(), in.IDToken, in.AccessToken)
	if err != nil || err2 != nil || in.Name != "u-1" || who.Name != "u-1" {
		t.Errorf("userinfo is down: the gateway has %q, %v, and the signer %q, %v", in.Name, err, who.Name, err2)
	}
}

func TestUserNameAndAddressAreCleaned(t *testing.T) {
	l := newLiar(t)
	address := strings.Repeat("a", 64) + "@" + strings.Repeat("b", 200) + ".example"
	l.claims = map[string]any{"preferred_username": "te\u202ess\n", "email": " " + address + "\u200b"}
	in, err := l.signIn(l.party())
	if err != nil || in.Username != "tess" || in.Email != address {
		t.Errorf("got user name %q and address %q, %v", in.Username, in.Email, err)
	}
}

func TestAnAddressThatIsNotVerifiedIsNotTaken(t *testing.T) {
	for what, c := range map[string]struct {
		token, said map[string]any
		want        string
	}{
		"not said":                  {map[string]any{"email": "t@x.example"}, nil, "t@x.example"},
		"verified":                  {map[string]any{"email": "t@x.example", "email_verified": true}, nil, "t@x.example"},
		"not verified":              {map[string]any{"email": "t@x.example", "email_verified": false}, nil, ""},
		"not verified, in a word":   {map[string]any{"email": "t@x.example", "email_verified": "false"}, nil, ""},
		"userinfo: not verified":    {map[string]any{"email_verified": true}, map[string]any{"email": "u@x.example", "email_verified": false}, ""},
		"userinfo: verified":        {map[string]any{"email_verified": false}, map[string]any{"email": "u@x.example", "email_verified": true}, "u@x.example"},
		"userinfo: not said":        {map[string]any{"email_verified": false}, map[string]any{"email": "u@x.example"}, "u@x.example"},
		"userinfo about no address": {map[string]any{"email": "t@x.example"}, map[string]any{"email_verified": false}, "t@x.example"},
	} {
		t.Run(what, func(t *testing.T) {
			l := newLiar(t)
			l.claims = map[string]any{"preferred_username": nil}
			maps.Copy(l.claims, c.token)
			said := map[string]any{"sub": "u-1", "preferred_username": "tess"}
			maps.Copy(said, c.said)
			l.userinfo = says(said)
			if in, err := l.signIn(l.party()); err != nil || in.Email != c.want {
				t.Errorf("got %q, %v, want %q", in.Email, err, c.want)
			}
		})
	}
}

// FuzzDisplayable demands that a cleaned text stays as it is when it is cleaned again.
func FuzzDisplayable(f *testing.F) {
	for _, s := range []string{"Zoë", " \u202ea\u0301\u0301 b\n", "\xff\u200b", strings.Repeat("e\u0301", 60)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := displayable(s, longestName)
		if displayable(got, longestName) != got || utf8.RuneCountInString(got) > longestName || !utf8.ValidString(got) {
			t.Errorf("%q: got %q, and cleaned again %q", s, got, displayable(got, longestName))
		}
	})
}
