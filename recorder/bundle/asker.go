package bundle

import (
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/recorder/ledger"
)

// RuleAsker is the rule that the open leaf commits to the statement of who asked.
const RuleAsker = "asker"

// asker checks the statement of who asked for a part. The person must be the same as in the part before. It returns
// nil if the bundle has no statement.
func (c *chain) asker(n uint32, name string, p *part, open ledger.OpenBody) (*ledger.Asker, error) {
	v := c.v
	switch {
	case len(p.Asker) == 0 && open.Asker == nil:
		v.r.say("A", RuleAsker, "%s: the open leaf does not commit to who asked, as in earlier releases", name)
		return nil, nil
	case len(p.Asker) == 0:
		v.r.say("A", RuleAsker, "%s: the open leaf commits to who asked, but the bundle lacks the statement", name)
		return nil, nil
	case open.Asker == nil || ledger.CommitAsker(p.Asker) != *open.Asker:
		return nil, v.fault(partPath(n, "asker"), RuleAsker,
			"%s: the statement of who asked is not the one that the open leaf commits to", name)
	}
	a, err := ledger.ParseAsker(p.Asker)
	if err != nil {
		return nil, v.fault(partPath(n, "asker"), RuleAsker, "%s: %v", name, err)
	}
	if b := c.prevAsker; a.Session != open.Session || b != nil && (a.Issuer != b.Issuer || a.Subject != b.Subject) {
		return nil, v.fault(partPath(n, "asker"), RuleAsker,
			"%s: the statement of who asked is of another session, or of another person than in the part before", name)
	}
	v.r.say("A", RuleAsker, "%s: asked for on device %q by %s", name, a.Device, askerWords(a))
	return &a, nil
}

// askerWords says who asked, and by which sign-in or token the signer knew.
func askerWords(a ledger.Asker) string {
	who := fmt.Sprintf("%q of %s", a.Subject, a.Issuer)
	if a.Machine != "" {
		who = fmt.Sprintf("the service identity %q, whose API token %s was made by %s", a.Machine, a.Token, who)
	} else if a.Token != "" {
		who += ", with the API token " + a.Token
	}
	if a.SignedInMS > 0 {
		who += ", signed in at " + time.UnixMilli(a.SignedInMS).UTC().Format(time.RFC3339)
	}
	if len(a.Methods) > 0 {
		who += fmt.Sprintf(" by %q", strings.Join(a.Methods, " "))
	}
	if a.SecondFactorMS > 0 {
		who += ", second factor at " + time.UnixMilli(a.SecondFactorMS).UTC().Format(time.RFC3339)
	}
	return who
}
