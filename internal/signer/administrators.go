package signer

import (
	"cmp"
	"log/slog"
	"slices"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/id"
)

// administrator is somebody whose evidence gave the duty to administer. The signer learns that from evidence alone, because
// whoever can make it believe that there is only one can change everything alone.
type administrator struct {
	Who    id.Principal `json:"who"`
	Groups []string     `json:"groups"`
	Seen   time.Time    `json:"seen"`
}

const (
	// administersFor is how long somebody counts as an administrator after their last evidence. Without an end, a person who
	// has left would keep the others from changing anything.
	administersFor = 30 * 24 * time.Hour
	// seenEvery bounds how often it is written down.
	seenEvery = time.Hour
)

// saw remembers that somebody is an administrator, or is none any more.
func (s *Service) saw(who authz.Person) {
	if who.Machine != "" {
		return
	}
	s.mu.RLock()
	is := s.snapshot.Policy != nil && slices.Contains(s.snapshot.Policy.Duties(who.Groups), authz.DutyAdminister)
	last, known := s.state.administrators[who.ID]
	s.mu.RUnlock()
	now := s.cfg.Now()
	if known && now.Sub(last.Seen) < seenEvery && slices.Equal(last.Groups, who.Groups) || !known && !is {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.administrators[who.ID] = administrator{who.ID, slices.Clone(who.Groups), now.UTC()}
	if err := s.state.write("administrators", s.state.listAdministrators()); err != nil {
		cmp.Or(s.cfg.Log, slog.New(slog.DiscardHandler)).Warn("an administrator is not remembered after a restart", slog.Any("error", err))
	}
}

// administrators counts the people who have the duty to administer. The caller holds s.mu.
func (s *Service) administrators() int {
	var people []id.Principal
	for _, a := range s.state.administrators {
		known := func(p id.Principal) bool { return s.snapshot.Policy.Same(p, a.Who) }
		if s.administers(a) && !slices.ContainsFunc(people, known) {
			people = append(people, a.Who)
		}
	}
	return len(people)
}

// administers reports whether somebody who was seen lately has the duty under the current policy. The caller holds s.mu.
func (s *Service) administers(a administrator) bool {
	return s.cfg.Now().Sub(a.Seen) < administersFor && slices.Contains(s.snapshot.Policy.Duties(a.Groups), authz.DutyAdminister)
}
