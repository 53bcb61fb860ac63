package signer

import (
	"cmp"
	"log/slog"
	"slices"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/id"
)

// administrator is a person whose sign-in gave the duty to administer. Only sign-ins count, not the gateway's word: an
// attacker who makes the signer count one administrator could change everything with that one's evidence.
type administrator struct {
	Who    id.Principal `json:"who"`
	Groups []string     `json:"groups"`
	Seen   time.Time    `json:"seen"`
	Issued time.Time    `json:"issued"` // of the id token
}

const (
	// administersFor is how long a person counts as an administrator after their last sign-in. Without an end, a person who
	// has left would keep the others from changing anything.
	administersFor = 30 * 24 * time.Hour
	// seenEvery bounds how often it is written down.
	seenEvery = time.Hour
)

// saw records whether a sign-in gave the duty to administer. An API token does not count: it has the groups of the day when
// it was made. An older id token does not change what a newer one has shown.
func (s *Service) saw(who authz.Person, issued time.Time) {
	who.Groups = slices.Sorted(slices.Values(who.Groups))
	s.mu.RLock()
	is := s.snapshot.Policy != nil && slices.Contains(s.snapshot.Policy.Duties(who.Groups), authz.DutyAdminister)
	last, known := s.state.administrators[who.ID]
	s.mu.RUnlock()
	now := s.cfg.Now()
	if known && now.Sub(last.Seen) < seenEvery && slices.Equal(last.Groups, who.Groups) || !known && !is || issued.Before(last.Issued) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.administrators[who.ID] = administrator{who.ID, who.Groups, now.UTC(), issued.UTC()}
	if err := s.state.write("administrators", s.state.listAdministrators()); err != nil {
		cmp.Or(s.cfg.Log, slog.New(slog.DiscardHandler)).Warn("an administrator is not remembered after a restart", slog.Any("error", err))
	}
}

// administrators counts the people who have the duty to administer. The caller holds s.mu.
func (s *Service) administrators() int {
	var people []id.Principal
	add := func(who id.Principal) {
		if !slices.ContainsFunc(people, func(p id.Principal) bool { return s.snapshot.Policy.Same(p, who) }) {
			people = append(people, who)
		}
	}
	for _, a := range s.state.administrators {
		if s.administers(a) {
			add(a.Who)
		}
	}
	for who := range s.administered {
		if s.onlyLogged(who) {
			add(who)
		}
	}
	return len(people)
}

// onlyLogged reports whether only the log shows a person as an administrator of the last 30 days, as after a restore. The
// caller holds s.mu.
func (s *Service) onlyLogged(who id.Principal) bool {
	_, known := s.state.administrators[who]
	at, logged := s.administered[who]
	return logged && !known && s.cfg.Now().Sub(at) < administersFor
}

// stillAdministers reports whether the proposer of a change has the duty. The configuration needs none.
func (s *Service) stillAdministers(who id.Principal) bool {
	a, known := s.state.administrators[who]
	return who.IsZero() || known && s.administers(a) || s.onlyLogged(who)
}

// administers reports whether a person has the duty under the current policy and signed in within administersFor. The caller
// holds s.mu.
func (s *Service) administers(a administrator) bool {
	return s.cfg.Now().Sub(a.Seen) < administersFor && slices.Contains(s.snapshot.Policy.Duties(a.Groups), authz.DutyAdminister)
}
