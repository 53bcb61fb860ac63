// Package state is what an agent keeps on the device: its keys, what it trusts, and what it must never forget.
//
// # What must not be forgotten
//
// A session id that was used, the highest epoch, the last head of the log, the newest trust bundle and the owner's
// freeze are the device's memory against replay. Each is on disk, durable by rename and fsync, before anything is done
// that rests on it. A state directory in memory would forget them at every boot, so tmpfs and overlay are refused
// unless the owner asks for it (--ephemeral).
//
// # Who reads and who writes
//
// Keys, bundle and owner's rules are read by every supervisor for itself. What sessions share is written by one
// process only, the keeper of the running agent, which holds the directory's lock.
package state

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/readfile"
	"github.com/sallyport/sallyport/internal/wire"
)

// DefaultDir and DefaultOwner are where a packaged agent keeps its state and its owner's rules.
const (
	DefaultDir   = "/var/lib/sallyport-agent"
	DefaultOwner = "/etc/sallyport/owner.toml"
)

// Dir is an agent's state directory.
type Dir struct {
	Path  string
	Owner string // the owner's rules
}

// At gives the directory that --state names; empty means the default one. With a directory of its own an agent also has
// its rules there.
func At(path string) Dir {
	if path == "" {
		return Dir{Path: DefaultDir, Owner: DefaultOwner}
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return Dir{Path: path, Owner: filepath.Join(path, "owner.toml")}
}

func (d Dir) file(name string) string { return filepath.Join(d.Path, name) }

// RunDir holds the sockets of the agent and of the supervisors.
func (d Dir) RunDir() string { return d.file("run") }

// Prepare makes the directory and checks that it keeps what is written.
func (d Dir) Prepare(ephemeral bool) error {
	for _, dir := range []string{d.Path, d.RunDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return errkind.New(errkind.Unavailable, fmt.Sprintf("the state directory %s cannot be made", dir)).
				WithHint("Run the agent as root, or name a directory of your own with --state.").Because(err)
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			return errkind.New(errkind.Unavailable, fmt.Sprintf("the state directory %s belongs to another user", dir)).
				WithHint("Run the agent as its owner, or name another directory with --state.").Because(err)
		}
	}
	if fsname := d.Volatile(); fsname != "" && !ephemeral {
		return errkind.New(errkind.Unavailable, fmt.Sprintf("the state directory %s lies on %s, which forgets at a restart which sessions were used and what the log said", d.Path, fsname)).
			WithHint("Name a directory on a disk with --state DIR, or accept the loss with --ephemeral.")
	}
	return nil
}

// Volatile names the file system of the directory if it does not outlive a restart.
func (d Dir) Volatile() string {
	var st unix.Statfs_t
	if unix.Statfs(d.Path, &st) != nil {
		return ""
	}
	switch uint32(st.Type) {
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	case unix.RAMFS_MAGIC:
		return "ramfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "an overlay"
	}
	return ""
}

// Lock makes this process the only one that writes here until it ends.
func (d Dir) Lock() (*os.File, error) {
	f, err := os.OpenFile(d.file("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock state directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, errkind.New(errkind.Conflict, fmt.Sprintf("another agent works with the state directory %s", d.Path)).
			WithHint("Stop it first, or name another directory with --state.")
	}
	return f, nil
}

// Write replaces a file durably: after it returns the new content survives a power cut, and before that the old one.
func (d Dir) Write(name string, content []byte) error {
	return writeDurably(d.file(name), content, 0o600)
}

func writeDurably(path string, content []byte, mode os.FileMode) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = SyncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Keys are the device's own, made on the device.
type Keys struct {
	Host  ssh.Signer
	Noise wire.NoiseKey
}

// FP is the device's name to gateways: the fingerprint of its host key.
func (k Keys) FP() wire.Hash { return wire.Fingerprint(k.Host.PublicKey()) }

// Keys reads the device's keys.
func (d Dir) Keys() (Keys, error) {
	raw, err := readfile.Regular(d.file("host_key"), readfile.Most)
	if err != nil {
		return Keys{}, notEnrolled(d, err)
	}
	host, err := ssh.ParsePrivateKey(raw)
	if err != nil {
		return Keys{}, damaged(d, "host_key", err)
	}
	var noise wire.NoiseKey
	if err := d.readJSON("noise_key", &noise); err != nil {
		return Keys{}, err
	}
	return Keys{Host: host, Noise: noise}, nil
}

// MakeKeys makes the device's keys unless they are there.
func (d Dir) MakeKeys() (Keys, error) {
	if k, err := d.Keys(); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Keys{}, fmt.Errorf("make host key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(priv, "sallyport device")
	if err != nil {
		return Keys{}, fmt.Errorf("make host key: %w", err)
	}
	noise, err := wire.NewNoiseKey()
	if err != nil {
		return Keys{}, err
	}
	// The noise key first: a host key alone would count as made.
	if err := errors.Join(d.WriteJSON("noise_key", noise), d.Write("host_key", pem.EncodeToMemory(block))); err != nil {
		return Keys{}, err
	}
	return d.Keys()
}

// Device is what the device knows about its enrolment.
type Device struct {
	Name string `json:"name"`
	Gen  uint32 `json:"gen"`
	URL  string `json:"url"`
}

// Device reads the enrolment.
func (d Dir) Device() (Device, error) {
	var dev Device
	return dev, d.readJSON("device.json", &dev)
}

// Bundle reads the trust bundle; its root was pinned when it was stored.
func (d Dir) Bundle() (*wire.Bundle, error) {
	var s wire.Signed
	if err := d.readJSON("bundle.json", &s); err != nil {
		return nil, err
	}
	b, err := wire.ParseBundle(s)
	if err != nil {
		return nil, damaged(d, "bundle.json", err)
	}
	return b, nil
}

// WriteJSON stores a value durably.
func (d Dir) WriteJSON(name string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return d.Write(name, append(raw, '\n'))
}

func (d Dir) readJSON(name string, v any) error {
	raw, err := readfile.Regular(d.file(name), readfile.Most)
	if err != nil {
		return notEnrolled(d, err)
	}
	if err := wire.StrictJSON(raw, v); err != nil {
		return damaged(d, name, err)
	}
	return nil
}

func notEnrolled(d Dir, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return errkind.New(errkind.Unavailable, fmt.Sprintf("the state directory %s cannot be read", d.Path)).
			WithHint("Run the command as the user the agent runs as.").Because(err)
	}
	return errkind.New(errkind.NotFound, fmt.Sprintf("this machine is not enrolled (nothing in %s)", d.Path)).
		WithHint("Run `sallyport-agent enroll CODE` with a join code from an administrator.").Because(err)
}

func damaged(d Dir, name string, err error) error {
	return errkind.New(errkind.Unavailable, fmt.Sprintf("%s is damaged", d.file(name))).
		WithHint("Remove the state directory and enrol the machine again.").Because(err)
}

// CA is the file of additional certificates that was given when enrolling; empty if there is none.
func (d Dir) CA() string {
	if _, err := os.Stat(d.file("ca.pem")); err != nil {
		return ""
	}
	return d.file("ca.pem")
}
