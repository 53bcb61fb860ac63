package idp

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/pending"
)

// session is one sign-in here: a browser with a cookie, or a device code that was approved. SID names it to clients.
type session struct {
	SID      string    `json:"sid"`
	Cookie   string    `json:"cookie,omitempty"` // hash of the secret, in hex
	Subject  string    `json:"sub"`
	AuthTime time.Time `json:"auth_time"`
	AMR      []string  `json:"amr"`
	Expires  time.Time `json:"expires"`
	Clients  []string  `json:"clients"` // who got tokens: they are told when it ends
	Families []family  `json:"families,omitempty"`
}

// family is a chain of refresh tokens of which only the newest counts.
type family struct {
	ID       string    `json:"id"`
	Client   string    `json:"client"`
	Scope    string    `json:"scope"`
	Current  string    `json:"current"` // hash of the newest token, in hex
	AuthTime time.Time `json:"auth_time"`
	AMR      []string  `json:"amr"`
	Expires  time.Time `json:"expires"`
}

// sessions is the file of them.
type sessions struct {
	path string
	now  func() time.Time

	mu  sync.Mutex // guards all
	all map[string]session
}

func openSessions(path string, now func() time.Time) (*sessions, error) {
	s := &sessions{path: path, now: now, all: map[string]session{}}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &s.all)
	}
	if err != nil {
		return nil, fmt.Errorf("provider sessions: %w", err)
	}
	return s, nil
}

// change edits the sessions and stores them. What cannot be stored did not happen.
func (s *sessions) change(edit func(map[string]session) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := make(map[string]session, len(s.all)+1)
	for k, v := range s.all {
		v.Clients, v.Families = slices.Clone(v.Clients), slices.Clone(v.Families)
		next[k] = v
	}
	if err := edit(next); err != nil {
		return err
	}
	raw, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if err := replaceFile(s.path, raw); err != nil {
		return fmt.Errorf("provider sessions: %w", err)
	}
	s.all = next
	return nil
}

func (s *sessions) bySID(sid string) (session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.all[sid]
	return v, ok && s.now().Before(v.Expires)
}

func (s *sessions) byCookie(text string) (session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if text == "" {
		return session{}, false
	}
	h := hexHash(text)
	for _, v := range s.all {
		if v.Cookie == h {
			return v, s.now().Before(v.Expires)
		}
	}
	return session{}, false
}

// begin stores a sign-in. When the same person was signed in with this browser the session goes on under its name, with
// a new secret: clients see a fresher auth_time of the same sid. Anybody else's ends, and is given back.
func (s *sessions) begin(v session, oldCookie string) (now session, ended []session, err error) {
	err = s.change(func(all map[string]session) error {
		for sid, o := range all {
			if oldCookie == "" || o.Cookie != hexHash(oldCookie) {
				continue
			}
			if o.Subject == v.Subject {
				v.SID, v.Clients, v.Families = o.SID, o.Clients, o.Families
			} else {
				ended = append(ended, o)
			}
			delete(all, sid)
		}
		if v.SID == "" {
			v.SID = strings.ToLower(rand.Text())
		}
		all[v.SID] = v
		return nil
	})
	return v, ended, err
}

// end deletes a session and gives what it was.
func (s *sessions) end(sid string) (was session, ok bool, err error) {
	err = s.change(func(all map[string]session) error {
		was, ok = all[sid]
		delete(all, sid)
		return nil
	})
	return was, ok, err
}

// sweep deletes what has expired, and the sessions of those who may not stay, which it gives back.
func (s *sessions) sweep(mayStay func(sub string, signedIn time.Time) bool) (gone []session, err error) {
	now := s.now()
	stale := func(v session) bool { return !now.Before(v.Expires) }
	s.mu.Lock()
	quiet := true
	for _, v := range s.all {
		quiet = quiet && !stale(v) && mayStay(v.Subject, v.AuthTime)
	}
	s.mu.Unlock()
	if quiet {
		return nil, nil
	}
	err = s.change(func(all map[string]session) error {
		gone = nil
		for sid, v := range all {
			if stale(v) || !mayStay(v.Subject, v.AuthTime) {
				gone = append(gone, v)
				delete(all, sid)
			}
		}
		return nil
	})
	return gone, err
}

func hexHash(s string) string {
	h := pending.Hash(s)
	return hex.EncodeToString(h[:])
}

func (s *sessions) family(name string) (sid string, f family, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.all {
		for _, f := range v.Families {
			if f.ID == name {
				return v.SID, f, s.now().Before(v.Expires)
			}
		}
	}
	return "", family{}, false
}

// rotate makes next the newest token of a family, if old still is, or begins the family. Two who redeem the same token
// at once cannot both win.
func (s *sessions) rotate(i issue, next, old string) error {
	return s.change(func(all map[string]session) error {
		v, ok := all[i.sid]
		if !ok {
			return errInvalidGrant
		}
		if !slices.Contains(v.Clients, i.client) {
			v.Clients = append(v.Clients, i.client)
		}
		at := slices.IndexFunc(v.Families, func(f family) bool { return f.ID == i.family })
		switch {
		case at >= 0 && v.Families[at].Current == hexHash(old):
			v.Families[at].Current = hexHash(next)
		case at >= 0 || old != "":
			return errInvalidGrant
		default:
			if len(v.Families) >= maxFamilies { // a browser that signs in again and again keeps its newest
				v.Families = slices.Delete(v.Families, 0, 1)
			}
			v.Families = append(v.Families, family{ID: i.family, Client: i.client, Scope: i.scope, Current: hexHash(next),
				AuthTime: i.authTime, AMR: i.amr, Expires: s.now().Add(refreshTime).UTC()})
		}
		all[i.sid] = v
		return nil
	})
}

const maxFamilies = 32
