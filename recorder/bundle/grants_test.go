package bundle

import (
	"encoding/base64"
	"maps"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder/ledger"
)

func TestAGrantHasTheApprovalsOfItsTermsBeforeIt(t *testing.T) {
	who := func(sub string) string { return id.Principal{Issuer: "https://idp.test", Subject: sub}.String() }
	terms := ledger.Terms{V: ledger.TermsVersion, Request: strings.Repeat("a", 26), Issuer: "https://idp.test", Subject: "tess", Device: "press-1",
		Rule: "R1", Actions: []string{"shell:svc"}, Seconds: 900}
	b64 := base64.RawURLEncoding.EncodeToString
	encode := func(x ledger.Terms) (raw, hash string) {
		b := must(x.Marshal())(t)
		sum := ledger.HashTerms(b)
		return b64(b), b64(sum[:])
	}
	raw, hash := encode(terms)
	edited := terms
	edited.Seconds++
	other, otherHash := encode(edited)
	stranger := terms
	stranger.Request = strings.Repeat("b", 26)
	strange, strangeHash := encode(stranger)

	type leaf struct {
		typ, by string
		fields  map[string]string
	}
	approved := func(sub, hash string) leaf {
		return leaf{"approved", who(sub), map[string]string{"request": terms.Request, "terms": hash}}
	}
	granted := func(raw string, by ...string) leaf {
		return leaf{"granted", "", map[string]string{"request": terms.Request, "terms": raw, "approvers": strings.Join(by, "\n"),
			"from": "2026-03-02T10:00:00Z", "until": "2026-03-02T10:15:00Z"}}
	}
	longer := granted(raw, who("lea"))
	longer.fields["until"] = "2026-03-02T10:15:01Z"
	elsewhere := approved("lea", strangeHash)
	elsewhere.fields = maps.Clone(elsewhere.fields)
	elsewhere.fields["request"] = stranger.Request
	for name, c := range map[string]struct {
		leaves []leaf
		fails  bool
	}{
		"two who agreed":             {[]leaf{approved("lea", hash), approved("sam", hash), granted(raw, who("lea"), who("sam"))}, false},
		"nobody had to agree":        {[]leaf{granted(raw)}, false},
		"one of the two":             {[]leaf{approved("lea", hash), granted(raw, who("lea"), who("sam"))}, true},
		"the same one twice":         {[]leaf{approved("lea", hash), granted(raw, who("lea"), who("lea"))}, true},
		"after the grant":            {[]leaf{granted(raw, who("lea")), approved("lea", hash)}, true},
		"to other terms":             {[]leaf{approved("lea", otherHash), granted(raw, who("lea"))}, true},
		"terms that were edited":     {[]leaf{approved("lea", hash), granted(other, who("lea"))}, true},
		"to another request":         {[]leaf{elsewhere, granted(raw, who("lea"))}, true},
		"terms of another request":   {[]leaf{elsewhere, granted(strange, who("lea"))}, true},
		"whom it is for":             {[]leaf{approved("tess", hash), granted(raw, who("tess"))}, true},
		"longer than the terms":      {[]leaf{approved("lea", hash), longer}, true},
		"no terms":                   {[]leaf{granted("")}, true},
		"terms with a line break":    {[]leaf{granted(raw[:4] + "\n" + raw[4:])}, true},
		"an empty name among others": {[]leaf{approved("lea", hash), granted(raw, who("lea"), "")}, true},
	} {
		h := newHouse(t)
		for _, l := range c.leaves {
			h.Lie(l.typ, must(ledger.EventBody{By: l.by, AtMS: h.ms(), Fields: l.fields}.Marshal())(t))
		}
		_, err := h.census(Options{LogDir: h.LogDir()})
		if c.fails {
			wantRule(t, name, err, RuleGrant)
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
