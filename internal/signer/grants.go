package signer

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// Voice is one person who agreed to terms.
type Voice struct {
	Who  id.Principal `json:"who"`
	Name string       `json:"name"`
	For  []string     `json:"for"` // entries of the rule's agree that they could speak for at that time
	At   time.Time    `json:"at"`
	Leaf uint64       `json:"leaf"` // of type approved
}

// Consent is what the signer knows of one request: who agreed to which terms, and the grant that came of it.
type Consent struct {
	Terms     []byte    `json:"terms"` // ledger.Terms, encoded
	Voices    []Voice   `json:"voices"`
	From      time.Time `json:"from,omitzero"` // zero: not all have agreed
	Until     time.Time `json:"until,omitzero"`
	Leaf      uint64    `json:"leaf,omitempty"`      // of type granted
	Withdrawn bool      `json:"withdrawn,omitempty"` // for good
}

// Granted reports whether all have agreed.
func (c *Consent) Granted() bool { return !c.From.IsZero() }

// Approved says what an approval has come to.
type Approved struct {
	Leaf    uint64        `json:"leaf"`    // of type approved; 0: nobody had to agree
	Missing []authz.Agree `json:"missing"` // who must agree as well; empty: this is a grant now
	Consent Consent       `json:"consent"`
}

const (
	// mostConsents bounds the requests that the signer remembers. Without a bound whoever may approve could fill the disk.
	mostConsents = 50_000
	// keptAfter is how long a grant is remembered after its end: a request is not granted twice.
	keptAfter = 24 * time.Hour
)

// Approve implements Signer. The person of the evidence agrees to the terms. The approvals of other terms of the same
// request count no more. Under a rule to which nobody has to agree, whoever asks makes their own grant.
func (s *Service) Approve(ctx context.Context, by Evidence, terms []byte) (Approved, error) {
	t, err := ledger.ParseTerms(terms)
	if err != nil {
		return Approved{}, errkind.New(errkind.Usage, err.Error())
	}
	who, err := s.mayApprove(ctx, by)
	if err != nil {
		return Approved{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.withdrawn(by); err != nil {
		return Approved{}, err
	}
	voice, err := s.voice(t, who)
	if err != nil {
		return Approved{}, err
	}
	c, err := s.consent(t.Request, terms, who)
	if err != nil {
		return Approved{}, err
	}
	if len(voice.For) == 0 { // nobody has to agree, and the person is the one whom the grant is for
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

// mayApprove checks what holds for every rule: an API token approves only where the policy lets it, and never a machine.
func (s *Service) mayApprove(ctx context.Context, by Evidence) (authz.Person, error) {
	who, err := s.person(ctx, by)
	if err != nil || by.APIToken == "" {
		return who, err
	}
	return s.allowed(ctx, by, authz.DutyApprove)
}

// voice checks terms against the policy and the device, and gives what the person can speak for.
func (s *Service) voice(t ledger.Terms, who authz.Person) (Voice, error) {
	dev, known := s.state.byName(id.Device(t.Device))
	if !known || dev.FP != t.DeviceFP || dev.State != wire.StateOK {
		return Voice{}, errkind.New(errkind.Conflict, fmt.Sprintf("%s is not the device that was asked for any more", t.Device)).
			WithHint("Whoever asked can ask again.")
	}
	asked, err := AskedTerms(t)
	if err != nil {
		return Voice{}, err
	}
	p := s.snapshot.Policy
	if text := asked.Check(p, authz.Device{Name: dev.Name, Site: dev.Site, Labels: dev.Labels}); text != "" {
		return Voice{}, errkind.New(errkind.Conflict, text).WithHint("Whoever asked can ask again, as the policy is now.")
	}
	agree, _, emergency, _ := p.Needs(t.Rule)
	if emergency {
		return Voice{}, errkind.New(errkind.Conflict, fmt.Sprintf("rule %s is for emergencies, which cannot be asked for", t.Rule))
	}
	if len(agree) == 0 {
		return Voice{}, asks(who, asked)
	}
	if who.ID == asked.Who {
		return Voice{}, errkind.New(errkind.Denied, "nobody approves what they would use themselves").
			WithHint("Somebody else whom rule " + t.Rule + " names can.")
	}
	may := p.Voices(t.Rule, who, false)
	if len(may) == 0 {
		return Voice{}, errkind.New(errkind.Denied, fmt.Sprintf("rule %s does not name you among those who agree", t.Rule)).
			WithHint("The request says who can.")
	}
	return Voice{Who: who.ID, Name: showable(who.Name), For: may, At: s.cfg.Now().UTC()}, nil
}

// asks refuses to make a grant, to which nobody has to agree, for somebody else.
func asks(who authz.Person, t authz.Terms) error {
	if who.ID == t.Who {
		return nil
	}
	return errkind.New(errkind.Denied, "only whoever asked can use a rule under which nobody has to agree")
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
func (s *Service) consent(request string, terms []byte, who authz.Person) (Consent, error) {
	c, known := s.state.consents[request]
	switch {
	case c.Withdrawn:
		return c, errkind.New(errkind.Conflict, "this request was withdrawn")
	case c.Granted():
		return c, errkind.New(errkind.Conflict, "this request is granted already")
	case !known && len(s.state.consents) >= mostConsents:
		return c, errTooMany(mostConsents, "requests")
	case string(c.Terms) != string(terms):
		return Consent{Terms: terms}, nil
	}
	if slices.ContainsFunc(c.Voices, func(v Voice) bool { return v.Who == who.ID }) {
		return c, errkind.New(errkind.Conflict, "you have approved this already").WithHint("The request says who else must agree.")
	}
	c.Voices = slices.Clone(c.Voices)
	return c, nil
}

// prune forgets requests that can give nothing any more. The caller holds s.mu.
func (s *Service) prune(now time.Time) error {
	for request, c := range s.state.consents {
		last := c.Until
		if !c.Granted() && len(c.Voices) > 0 {
			last = c.Voices[len(c.Voices)-1].At
		}
		if now.Sub(last) > keptAfter {
			if err := s.state.dropConsent(request); err != nil {
				return err
			}
		}
	}
	return nil
}

// counted stores an approval, and makes the grant if nobody is missing.
func (s *Service) counted(ctx context.Context, t ledger.Terms, c Consent, leaf uint64) (Approved, error) {
	now := s.cfg.Now()
	agree, within, _, _ := s.snapshot.Policy.Needs(t.Rule)
	c.Voices = slices.DeleteFunc(c.Voices, func(v Voice) bool { return now.Sub(v.At) > within })
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
	if err := s.prune(now); err != nil {
		return Approved{}, err
	}
	s.resnap()
	return Approved{Leaf: leaf, Missing: missing, Consent: c}, nil
}

func spoken(voices []Voice) (out [][]string) {
	for _, v := range voices {
		out = append(out, v.For)
	}
	return out
}

// grant puts the grant into the log, with its terms, so that the log alone shows what was agreed.
func (s *Service) grant(ctx context.Context, t ledger.Terms, c Consent, now time.Time) (Consent, error) {
	c.From, c.Until = now.UTC(), now.Add(time.Duration(t.Seconds)*time.Second).UTC()
	var by []string
	for _, v := range c.Voices {
		by = append(by, v.Who.String())
	}
	leaf, err := s.event(ctx, "granted", "", map[string]string{"request": t.Request, "terms": wire.B64.EncodeToString(c.Terms),
		"approvers": strings.Join(by, "\n"), "from": c.From.Format(time.RFC3339), "until": c.Until.Format(time.RFC3339)})
	c.Leaf = leaf.Index
	return c, err
}

// WithdrawGrant implements Signer. It needs no evidence, because it only takes away.
func (s *Service) WithdrawGrant(ctx context.Context, request, why string) (Appended, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, known := s.state.consents[request]
	if !known {
		return Appended{}, errkind.New(errkind.NotFound, "the signer knows no such request")
	}
	if c.Withdrawn {
		return Appended{}, errkind.New(errkind.Conflict, "this request was withdrawn already")
	}
	out, err := s.event(ctx, "withdrawn", "", map[string]string{"request": request, "why": why})
	if err != nil {
		return out, err
	}
	c.Withdrawn = true
	if err := s.state.putConsent(request, c); err != nil {
		return out, err
	}
	s.resnap()
	return out, nil
}

// Grants implements Signer.
func (s *Service) Grants(context.Context) ([]Consent, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	now, out := s.cfg.Now(), []Consent{}
	for _, c := range s.state.consents {
		if c.Granted() && !c.Withdrawn && now.Before(c.Until) && s.onItsDevice(&c) {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b Consent) int { return a.From.Compare(b.From) })
	return out, nil
}

// AsGrant gives what decisions need of a consent. ok is false if it gives nothing: not all have agreed, or it was
// withdrawn.
func (c *Consent) AsGrant() (g authz.Grant, ok bool) {
	t, err := ledger.ParseTerms(c.Terms)
	if err != nil || !c.Granted() || c.Withdrawn {
		return g, false
	}
	asked, err := AskedTerms(t)
	return authz.Grant{ID: t.Request, Rule: t.Rule, Who: asked.Who, Device: asked.Device, Actions: asked.Actions, From: c.From, Until: c.Until}, err == nil
}

// onItsDevice reports whether the device that was asked for still has its name. The caller holds s.mu.
func (s *Service) onItsDevice(c *Consent) bool {
	t, err := ledger.ParseTerms(c.Terms)
	if err != nil {
		return false
	}
	d, known := s.state.byName(id.Device(t.Device))
	return known && d.FP == t.DeviceFP
}

// resnap makes the snapshot for decisions anew, after a change of policy, devices or grants. The caller holds s.mu.
func (s *Service) resnap() {
	var grants []authz.Grant
	for _, c := range s.state.consents {
		if g, ok := c.AsGrant(); ok && s.onItsDevice(&c) {
			grants = append(grants, g)
		}
	}
	s.snapshot = authz.NewSnapshot(s.snapshot.Policy, grants)
}

// A pass with the largest scope has no room left beside the longest texts (authz.MaxScopeSize). So the names of approvers
// take theirs from the ticket.
const (
	approverBytes  = 60  // of one name
	approversBytes = 280 // of all, with their CBOR heads
	ticketBytes    = wire.MaxGrantText - approversBytes
)

// approvers names those who agreed to a grant, for the pass.
func (s *Service) approvers(grant string) []string {
	out, room := []string{}, approversBytes
	for _, v := range s.state.consents[grant].Voices {
		name := clip(v.Name, approverBytes)
		if room -= len(name) + 2; room < 0 || len(out) == wire.MaxApprovers {
			break
		}
		out = append(out, name)
	}
	return out
}

// ticket is as much of a ticket as a pass with approvers has room for.
func ticket(text string, approvers []string) string {
	if len(approvers) > 0 {
		return clip(text, ticketBytes)
	}
	return text
}

// clip gives at most n bytes of a text, and no half character.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

func hashText(terms []byte) string { return wire.Hash(ledger.HashTerms(terms)).String() }
