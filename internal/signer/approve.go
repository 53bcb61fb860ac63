package signer

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

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

func (s *Service) mayApprove(ctx context.Context, by Evidence) (authz.Person, error) {
	who, err := s.person(ctx, by)
	if err != nil || by.APIToken == "" {
		return who, err
	}
	return s.allowed(ctx, by, authz.DutyApprove)
}

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

func asks(who authz.Person, t authz.Terms) error {
	if who.ID == t.Who {
		return nil
	}
	return errkind.New(errkind.Denied, "only whoever asked can use a rule under which nobody has to agree")
}

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

func hashText(terms []byte) string { return wire.Hash(ledger.HashTerms(terms)).String() }
