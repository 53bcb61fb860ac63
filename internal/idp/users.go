package idp

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/readfile"
)

// User is one person. Subject is random and for ever: names are given to others when people leave.
type User struct {
	Subject  string    `json:"sub"`
	Name     string    `json:"name"`               // typed at sign-in
	ShownAs  string    `json:"shown_as,omitempty"` // empty: Name
	Email    string    `json:"email,omitempty"`
	Groups   []string  `json:"groups"`
	Password string    `json:"password"` // argon2id
	TOTP     string    `json:"totp,omitempty"`
	TOTPUsed int64     `json:"totp_used,omitempty"` // last time step that was used: a code counts once
	Disabled bool      `json:"disabled,omitempty"`
	Since    time.Time `json:"since"` // sign-ins before this are void

	// Removed is set when a user was removed; of the user only Subject is kept. Only this shows that a person has left.
	// A person who is merely absent may be missing because the whole file is, as before a restore.
	Removed time.Time `json:"removed,omitzero"`
}

// Title is how a person is shown.
func (u User) Title() string {
	if u.ShownAs != "" {
		return u.ShownAs
	}
	return u.Name
}

// mayStay reports whether somebody who signed in then is still signed in.
func (u User) mayStay(signedIn time.Time) bool {
	return !u.left() && !signedIn.Before(u.Since)
}

// left reports whether the user was disabled or removed.
func (u User) left() bool { return u.Disabled || !u.Removed.IsZero() }

// is reports whether this is the user of that name. A removed user has no name.
func (u User) is(name string) bool { return u.Removed.IsZero() && u.Name == name }

// Users is the file of people. A command of another process may change it while a provider runs; every read looks
// whether it did.
type Users struct {
	path string

	mu    sync.Mutex // guards what follows
	known []User     // includes removed users
	stamp string
	seen  bool // the file existed
}

// OpenUsers opens the file in a provider's directory.
func OpenUsers(dir string) (*Users, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	s := &Users{path: filepath.Join(dir, "users.json")}
	_, err := s.All()
	return s, err
}

// All lists everybody by name.
func (s *Users) All() ([]User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.read(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(s.known), func(u User) bool { return !u.Removed.IsZero() }), nil
}

var userName = regexp.MustCompile(`^[a-z0-9][a-z0-9._@+-]{0,63}$`)

// Add makes somebody. The password is set with them.
func (s *Users) Add(u User, password string) (User, error) {
	u.Name = strings.ToLower(strings.TrimSpace(u.Name))
	if !userName.MatchString(u.Name) {
		return User{}, errkind.New(errkind.Usage, fmt.Sprintf("%q is no user name", u.Name)).WithHint("1 to 64 characters of a-z, 0-9 and . _ @ + -, beginning with a letter or digit.")
	}
	if err := checkPassword(password); err != nil {
		return User{}, err
	}
	if u.Subject == "" {
		u.Subject = strings.ToLower(rand.Text())
	}
	if u.Groups == nil {
		u.Groups = []string{}
	}
	u.Password = hashPassword(password)
	return u, s.change(func(all []User) ([]User, error) {
		if slices.ContainsFunc(all, func(o User) bool { return o.is(u.Name) || o.Subject == u.Subject }) {
			return nil, errkind.New(errkind.Conflict, fmt.Sprintf("there is already a user %s", u.Name)).WithHint("Take another name, or `sallyport users passwd` for a new password.")
		}
		return append(all, u), nil
	})
}

// Remove removes a user; their sessions and sign-ins end. Their subject is kept as removed, so that their API tokens
// are revoked.
func (s *Users) Remove(name string) error {
	return s.Change(name, func(u *User) error {
		*u = User{Subject: u.Subject, Groups: []string{}, Since: u.Since, Removed: time.Now().UTC()}
		return nil
	})
}

// Change edits one user. Sign-ins older than its Since end.
func (s *Users) Change(name string, edit func(*User) error) error {
	return s.change(func(all []User) ([]User, error) {
		i := slices.IndexFunc(all, func(u User) bool { return u.is(name) })
		if i < 0 {
			return nil, noUser(name)
		}
		return all, edit(&all[i])
	})
}

// SetPassword gives a new password and ends every sign-in made with the old one.
func (s *Users) SetPassword(name, password string, now time.Time) error {
	if err := checkPassword(password); err != nil {
		return err
	}
	hash := hashPassword(password)
	return s.Change(name, func(u *User) error {
		u.Password, u.Since = hash, now.UTC()
		return nil
	})
}

func noUser(name string) error {
	return errkind.New(errkind.NotFound, fmt.Sprintf("there is no user %s", name)).WithHint("`sallyport users list` shows who there is.")
}

func (s *Users) byName(name string) (User, bool) {
	return s.find(func(u User) bool { return u.is(strings.ToLower(strings.TrimSpace(name))) })
}

func (s *Users) bySubject(sub string) (User, bool) {
	return s.find(func(u User) bool { return u.Subject == sub })
}

// find looks on the last file that could be read: a file that is broken now changes nobody's rights.
func (s *Users) find(is func(User) bool) (User, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.read(); err != nil && s.known == nil {
		return User{}, false
	}
	i := slices.IndexFunc(s.known, is)
	if i < 0 {
		return User{}, false
	}
	return s.known[i], true
}

// mostUsers is the size of the file of users in bytes, up to which it is read: more than 100,000 users.
const mostUsers = 64 << 20

// read takes the file over if it changed. The caller holds mu.
func (s *Users) read() error {
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) && !s.seen {
		s.known, s.stamp = []User{}, ""
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return errkind.New(errkind.Unavailable, s.path+" is missing, so no user's rights change").
			WithHint("Put it back from the backup of the signer's directory.").Because(err)
	}
	if err != nil {
		return fmt.Errorf("users: %w", err)
	}
	stamp := fmt.Sprint(info.ModTime().UnixNano(), " ", info.Size())
	if stamp == s.stamp {
		return nil
	}
	raw, err := readfile.Regular(s.path, mostUsers)
	if err != nil {
		return fmt.Errorf("users: %w", err)
	}
	var all []User
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&all); err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	s.known, s.stamp, s.seen = all, stamp, true
	return nil
}

// change edits the file under a lock that holds between processes.
func (s *Users) change(edit func([]User) ([]User, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	lock, err := os.OpenFile(s.path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("users: %w", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock users: %w", err)
	}
	s.stamp = "" // another process may have written within the clock's grain
	if err := s.read(); err != nil {
		return err
	}
	all, err := edit(slices.Clone(s.known))
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b User) int { return strings.Compare(a.Name, b.Name) })
	raw, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	if err := replaceFile(s.path, append(raw, '\n')); err != nil {
		return fmt.Errorf("users: %w", err)
	}
	s.stamp = ""
	return s.read()
}
