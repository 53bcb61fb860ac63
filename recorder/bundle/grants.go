package bundle

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// approval is one person's agreement to the terms of a request, as an approved leaf has it.
type approval struct{ request, terms, by string }

// agreed takes in an approved leaf.
func (s *census) agreed(body []byte) {
	if b, err := ledger.ParseEventBody(body); err == nil {
		s.approvals[approval{b.Fields["request"], b.Fields["terms"], b.By}] = true
	}
}

// granted checks a grant against the approvals before it.
func (s *census) granted(i uint64, body []byte) error {
	b, err := ledger.ParseEventBody(body)
	if err == nil {
		err = s.holds(b)
	}
	if err != nil {
		return s.fault(RuleGrant, "the grant in entry %d: %v", i, err)
	}
	return nil
}

// holds reports what is wrong with a grant: each of its approvers must have approved exactly its terms, once, and none is
// the person whom it is for.
func (s *census) holds(b ledger.EventBody) error {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(b.Fields["terms"])
	if err != nil || base64.RawURLEncoding.EncodeToString(raw) != b.Fields["terms"] { // the decoder skips line breaks
		return errors.New("its terms are not in base64url")
	}
	t, err := ledger.ParseTerms(raw)
	if err != nil {
		return err
	}
	if t.Request != b.Fields["request"] {
		return errors.New("its terms are of another request")
	}
	from, ferr := time.Parse(time.RFC3339, b.Fields["from"])
	until, uerr := time.Parse(time.RFC3339, b.Fields["until"])
	if ferr != nil || uerr != nil || until.Sub(from) != time.Duration(t.Seconds)*time.Second {
		return fmt.Errorf("its time is from %.40q until %.40q, and its terms give %d s", b.Fields["from"], b.Fields["until"], t.Seconds)
	}
	holder := id.Principal{Issuer: t.Issuer, Subject: t.Subject}.String()
	sum, seen := ledger.HashTerms(raw), map[string]bool{}
	hash := base64.RawURLEncoding.EncodeToString(sum[:])
	for by := range strings.SplitSeq(b.Fields["approvers"], "\n") {
		switch {
		case by == "" && b.Fields["approvers"] == "": // nobody had to agree
		case by == holder:
			return fmt.Errorf("%s approved their own request", by)
		case seen[by]:
			return fmt.Errorf("%.200q is listed twice as an approver", by)
		case !s.approvals[approval{t.Request, hash, by}]:
			return fmt.Errorf("no approved leaf of %.200q before it has this request and these terms", by)
		}
		seen[by] = true
	}
	return nil
}
