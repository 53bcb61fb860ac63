package signer

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// Approve implements Signer. The person of the evidence approves the terms. Approvals of other terms of the same request
// become void. Under a rule that needs no approval, the requester makes their own grant.
func (s *Service) Approve(ctx context.Context, by Evidence, terms []byte) (Approved, error) {
	t, err := ledger.ParseTerms(terms)
	if err != nil {
		return Approved{}, errkind.New(errkind.Usage, err.Error())
	}
	who, err := s.mayApprove(ctx, by, t.Rule)
	if err != nil {
		return Approved{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.withdrawn(by); err != nil {
		return Approved{}, err
	}
	voice, err := s.voice(t, who, by.APIToken == "")
	if err != nil {
		return Approved{}, err
	}
	c, err := s.consent(t, terms, who)
	if err != nil {
		return Approved{}, err
	}
	ctx = context.WithoutCancel(ctx) // a caller who leaves now would leave a leaf behind without its effect
	if len(voice.For) == 0 {         // the rule needs no approval, and this is the requester
		return s.counted(ctx, t, c, 0)
	}
	leaf, err := s.event(ctx, "approved", who.ID.String(), map[string]string{"request": t.Request, "terms": hashText(terms),
		"for": strings.Join(voice.For, " ")})
	if err != nil {
		return Approved{}, err
	}
	voice.Leaf = leaf.Index
	c.Voices = append(c.Voices, voice)
	return s.counted(ctx, t, c, leaf.Index)
}

// mayApprove checks what holds for every approval: a machine never approves, and an API token only where the policy
// permits it. Under a rule that needs no approval, a token needs what it needs to open a session.
func (s *Service) mayApprove(ctx context.Context, by Evidence, rule string) (authz.Person, error) {
	who, err := s.person(ctx, by)
	if err != nil || by.APIToken == "" {
		return who, err
	}
	if who.Machine != "" {
		return who, errkind.New(errkind.Denied, "a machine can neither request rights nor approve them")
	}
	s.mu.RLock()
	agree, _, _, ok := s.snapshot.Policy.Needs(rule)
	s.mu.RUnlock()
	if ok && len(agree) == 0 {
		return who, s.mayOpen(by, who)
	}
	return s.allowed(ctx, by, authz.DutyApprove)
}

// voice checks terms against the policy and the device, and gives the entries of the rule that the person counts for. An
// owner of the site counts for @owner only with a sign-in.
func (s *Service) voice(t ledger.Terms, who authz.Person, signedIn bool) (Voice, error) {
	dev, known := s.state.byName(id.Device(t.Device))
	if !known || dev.FP != t.DeviceFP || dev.State != wire.StateOK {
		return Voice{}, errkind.New(errkind.Conflict, fmt.Sprintf("%s was replaced or is not in service", t.Device)).
			WithHint("The requester can ask again later.")
	}
	asked, err := AskedTerms(t)
	if err != nil {
		return Voice{}, err
	}
	p := s.snapshot.Policy
	if text := asked.Check(p, authz.Device{Name: dev.Name, Site: dev.Site, Labels: dev.Labels}); text != "" {
		return Voice{}, errkind.New(errkind.Conflict, text).WithHint("The requester can ask again under the current policy.")
	}
	if agree, _, _, _ := p.Needs(t.Rule); len(agree) == 0 {
		return Voice{}, s.asks(who, asked)
	}
	if p.Same(who.ID, asked.Who) {
		return Voice{}, errkind.New(errkind.Denied, "you cannot approve your own request").
			WithHint("Another person in a group of rule " + t.Rule + " can.")
	}
	may := p.Voices(t.Rule, who, signedIn && s.state.owns(dev.Site, who.ID))
	if len(may) == 0 {
		return Voice{}, errkind.New(errkind.Denied, fmt.Sprintf("you cannot approve requests under rule %s", t.Rule)).
			WithHint("This needs the duty approve and a group that the rule names. If it names @owner: the duty own, ownership of the site, and a sign-in instead of an API token.")
	}
	return Voice{Who: who.ID, Name: showable(who.Name), For: may, At: s.cfg.Now().UTC()}, nil
}

// asks refuses to make a grant that needs no approval for anybody but a requester whom the rule names.
func (s *Service) asks(who authz.Person, t authz.Terms) error {
	if who.ID != t.Who {
		return errkind.New(errkind.Denied, "this rule needs no approval, so only the requester can use it")
	}
	if !s.snapshot.Policy.MayAsk(t.Rule, who) {
		return errkind.New(errkind.Denied, fmt.Sprintf("rule %s is not for you", t.Rule))
	}
	return nil
}

// AskedTerms reads the actions of terms. An unknown one is an errkind.Usage.
func AskedTerms(t ledger.Terms) (authz.Terms, error) {
	out := authz.Terms{Who: id.Principal{Issuer: t.Issuer, Subject: t.Subject}, Device: id.Device(t.Device), Rule: t.Rule,
		For: time.Duration(t.Seconds) * time.Second, Reason: t.Reason, Ticket: t.Ticket}
	for _, word := range t.Actions {
		p, err := authz.ParsePattern(word)
		if err != nil {
			return out, errkind.New(errkind.Usage, err.Error())
		}
		out.Actions = append(out.Actions, p)
	}
	return out, nil
}

// consent gives what is known of a request, for one more approval of these terms.
func (s *Service) consent(t ledger.Terms, terms []byte, who authz.Person) (Consent, error) {
	c, known := s.state.consents[t.Request]
	if !known {
		if err := s.room(t); err != nil {
			return c, err
		}
	}
	switch {
	case c.Withdrawn:
		return c, errkind.New(errkind.Conflict, "this request was withdrawn or denied")
	case c.Granted():
		return c, errkind.New(errkind.Conflict, "this request has already been granted")
	case string(c.Terms) != string(terms):
		return Consent{Terms: terms}, nil
	}
	if slices.ContainsFunc(c.Voices, func(v Voice) bool { return s.snapshot.Policy.Same(v.Who, who.ID) }) {
		return c, errkind.New(errkind.Conflict, "you have already approved this request").WithHint("The request shows who else must approve it.")
	}
	c.Voices = slices.Clone(c.Voices)
	return c, nil
}

// room refuses one more request if there are too many, in all or of one person. Those that can give nothing any more do
// not count.
func (s *Service) room(t ledger.Terms) error {
	s.prune(s.cfg.Now())
	ofPerson := 0
	for _, c := range s.state.consents {
		other, err := ledger.ParseTerms(c.Terms)
		if err == nil && other.Issuer == t.Issuer && other.Subject == t.Subject && !c.Withdrawn && s.cfg.Now().Before(c.ends()) {
			ofPerson++
		}
	}
	if len(s.state.consents) >= mostConsents || ofPerson >= mostOfPerson {
		return errkind.New(errkind.TooMany, fmt.Sprintf("%s has %d requests and grants in force, and the signer remembers %d in all; "+
			"the limits are %d and %d", t.Subject, ofPerson, len(s.state.consents), mostOfPerson, mostConsents)).
			WithHint("Withdraw grants that are not needed, or wait until they end.")
	}
	return nil
}

// ends is when a consent can give nothing any more: its grant ends, or an approval is too old for any rule.
func (c *Consent) ends() time.Time {
	if c.Granted() || len(c.Voices) == 0 {
		return c.Until
	}
	return c.Voices[len(c.Voices)-1].At.Add(keptAfter)
}

// prune forgets requests that can give nothing any more. A file that cannot be removed is tried again. The caller holds
// s.mu.
func (s *Service) prune(now time.Time) {
	for request, c := range s.state.consents {
		if now.Sub(c.ends()) <= keptAfter {
			continue
		}
		if err := s.state.dropConsent(request); err != nil {
			cmp.Or(s.cfg.Log, slog.New(slog.DiscardHandler)).Warn("a request of long ago could not be removed", slog.Any("error", err))
		}
	}
}

// counted stores an approval, and makes the grant after the last one.
func (s *Service) counted(ctx context.Context, t ledger.Terms, c Consent, leaf uint64) (Approved, error) {
	now := s.cfg.Now()
	agree, within, _, _ := s.snapshot.Policy.Needs(t.Rule)
	c.Voices = slices.DeleteFunc(c.Voices, func(v Voice) bool { return now.Sub(v.At) > within })
	c.Voices = s.people(c.Voices)
	missing := authz.Missing(agree, spoken(c.Voices))
	if len(missing) == 0 {
		var err error
		if c, err = s.grant(ctx, t, c, now); err != nil {
			return Approved{}, err
		}
	}
	if err := s.state.putConsent(t.Request, c); err != nil {
		return Approved{}, err
	}
	s.resnap()
	return Approved{Leaf: leaf, Missing: missing, Consent: c}, nil
}

// people keeps one voice of each person: the policy may have named accounts as one person since they approved.
func (s *Service) people(voices []Voice) (out []Voice) {
	for _, v := range voices {
		if !slices.ContainsFunc(out, func(o Voice) bool { return s.snapshot.Policy.Same(o.Who, v.Who) }) {
			out = append(out, v)
		}
	}
	return out
}

func spoken(voices []Voice) (out [][]string) {
	for _, v := range voices {
		out = append(out, v.For)
	}
	return out
}

// grant puts the grant into the log, with its terms, so that the log alone shows what was approved. An emergency has a leaf
// of its own before it.
func (s *Service) grant(ctx context.Context, t ledger.Terms, c Consent, now time.Time) (Consent, error) {
	c.From, c.Until = now.UTC(), now.Add(time.Duration(t.Seconds)*time.Second).UTC()
	if err := s.alarm(ctx, t, &c); err != nil {
		return c, err
	}
	var by []string
	for _, v := range c.Voices {
		by = append(by, v.Who.String())
	}
	leaf, err := s.event(ctx, "granted", "", map[string]string{"request": t.Request, "terms": wire.B64.EncodeToString(c.Terms),
		"approvers": strings.Join(by, "\n"), "from": c.From.Format(time.RFC3339), "until": c.Until.Format(time.RFC3339)})
	c.Leaf = leaf.Index
	return c, err
}

// alarm marks the grant of an emergency rule, and writes who uses it, and by when that must be reviewed.
func (s *Service) alarm(ctx context.Context, t ledger.Terms, c *Consent) error {
	review, ok := s.snapshot.Policy.Emergency(t.Rule)
	if !ok {
		return nil
	}
	c.Emergency = true
	who := id.Principal{Issuer: t.Issuer, Subject: t.Subject}
	leaf, err := s.event(ctx, "emergency", who.String(), map[string]string{"request": t.Request, "subject": t.Device, "rule": t.Rule, "reason": t.Reason,
		"until": c.Until.Format(time.RFC3339), "review_by": c.From.Add(review).Format(time.RFC3339), "tell": strings.Join(s.snapshot.Policy.Tell(t.Rule), " ")})
	c.Alarm = leaf.Index
	return err
}

func hashText(terms []byte) string { return wire.Hash(ledger.HashTerms(terms)).String() }
