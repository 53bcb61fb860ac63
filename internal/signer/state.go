package signer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

// state is the signer's own copy of what decisions rest on. One file per object, written by rename: a change costs
// one small file however many devices there are, and an operator can read what the signer believes.
type state struct {
	dir     string
	devices map[wire.Hash]Device
	names   map[id.Device]wire.Hash
	tokens  map[wire.Hash]Token  // by hash
	signIns map[wire.Hash]signIn // by the hash of the id token
	sites   map[string]Site      // by name

	consents  map[string]Consent  // by request
	proposals map[string]Proposal // by id
	policy    Policy

	administrators map[id.Principal]administrator
	mappings       map[Mapping]bool // in force
	mapped         bool             // mappings were stored before
}

func openState(dir string) (*state, error) {
	s := &state{
		dir:     dir,
		devices: map[wire.Hash]Device{},
		names:   map[id.Device]wire.Hash{},
		tokens:  map[wire.Hash]Token{},
		signIns: map[wire.Hash]signIn{},
		sites:   map[string]Site{},

		consents:  map[string]Consent{},
		proposals: map[string]Proposal{},

		administrators: map[id.Principal]administrator{},
		mappings:       map[Mapping]bool{},
	}
	for _, sub := range []string{"devices", "tokens", "signins", "requests", "sites", "proposals"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("signer state: %w", err)
		}
	}
	err := eachFile(filepath.Join(dir, "devices"), func(d Device) { s.holdDevice(d) })
	err = errors.Join(err, eachFile(filepath.Join(dir, "tokens"), func(t Token) { s.tokens[t.Hash] = t }))
	err = errors.Join(err, eachFile(filepath.Join(dir, "signins"), func(r signIn) { s.signIns[r.Token] = r }))
	err = errors.Join(err, eachNamed(filepath.Join(dir, "requests"), func(name string, c Consent) { s.consents[name] = c }))
	err = errors.Join(err, eachFile(filepath.Join(dir, "sites"), func(o Site) { s.sites[o.Name] = o }))
	err = errors.Join(err, eachFile(filepath.Join(dir, "proposals"), func(p Proposal) { s.proposals[p.ID] = p }))
	var administrators []administrator
	err = errors.Join(err, oneFile(filepath.Join(dir, "administrators.json"), &administrators))
	for _, a := range administrators {
		s.administrators[a.Who] = a
	}
	var mappings []Mapping
	err = errors.Join(err, oneFile(filepath.Join(dir, "mappings.json"), &mappings))
	s.holdMappings(mappings)
	return s, errors.Join(err, oneFile(filepath.Join(dir, "policy.json"), &s.policy))
}

func (s *state) holdMappings(all []Mapping) {
	s.mapped, s.mappings = all != nil, map[Mapping]bool{}
	for _, m := range all {
		s.mappings[m] = true
	}
}

func (s *state) putMappings(all []Mapping) error {
	if err := s.write("mappings", all); err != nil {
		return err
	}
	s.holdMappings(all)
	return nil
}

// oneFile reads one object. It leaves it as it is if there is no such file.
func oneFile(path string, into any) error {
	raw, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return json.Unmarshal(raw, into)
}

func eachFile[T any](dir string, use func(T)) error {
	return eachNamed(dir, func(_ string, v T) { use(v) })
}

// eachNamed reads the objects of a directory with their names.
func eachNamed[T any](dir string, use func(string, T)) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok {
			continue // a half-written file of a crash
		}
		raw, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		var v T
		if err := json.Unmarshal(raw, &v); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(dir, e.Name()), err)
		}
		use(name, v)
	}
	return nil
}

func (s *state) holdDevice(d Device) {
	if old, ok := s.devices[d.FP]; ok && s.names[old.Name] == d.FP {
		delete(s.names, old.Name)
	}
	s.devices[d.FP] = d
	if d.State != wire.StateRevoked {
		s.names[d.Name] = d.FP
	}
}

func (s *state) byName(name id.Device) (Device, bool) {
	d, ok := s.devices[s.names[name]]
	return d, ok && d.Name == name
}

func (s *state) putDevice(d Device) error {
	d.Labels = maps.Clone(d.Labels)
	if err := s.write("devices/"+d.FP.String(), d); err != nil {
		return err
	}
	s.holdDevice(d)
	return nil
}

func (s *state) putToken(t Token) error {
	if err := s.write("tokens/"+t.Hash.String(), t); err != nil {
		return err
	}
	s.tokens[t.Hash] = t
	return nil
}

// putSite names its file by the hash, because a site's name can have any character.
func (s *state) putSite(o Site) error {
	if err := s.write("sites/"+wire.Sum([]byte(o.Name)).String(), o); err != nil {
		return err
	}
	s.sites[o.Name] = o
	return nil
}

// owns reports whether the person is an owner of the site.
func (s *state) owns(site string, who id.Principal) bool {
	return site != "" && slices.Contains(s.sites[site].Owners, who)
}

func (s *state) putConsent(request string, c Consent) error {
	if err := s.write("requests/"+request, c); err != nil {
		return err
	}
	s.consents[request] = c
	return nil
}

func (s *state) dropConsent(request string) error {
	if err := s.remove("requests/" + request); err != nil {
		return err
	}
	delete(s.consents, request)
	return nil
}

func (s *state) putProposal(p Proposal) error {
	if err := s.write("proposals/"+p.ID, p); err != nil {
		return err
	}
	s.proposals[p.ID] = p
	return nil
}

func (s *state) dropProposal(proposal string) error {
	if err := s.remove("proposals/" + proposal); err != nil {
		return err
	}
	delete(s.proposals, proposal)
	return nil
}

// listAdministrators gives them in ascending order.
func (s *state) listAdministrators() []administrator {
	return slices.SortedFunc(maps.Values(s.administrators), func(a, b administrator) int { return strings.Compare(a.Who.String(), b.Who.String()) })
}

// remove removes the file of an object, if it is there.
func (s *state) remove(name string) error {
	err := os.Remove(filepath.Join(s.dir, name+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (s *state) putPolicy(p Policy) error {
	if err := s.write(fmt.Sprintf("policy-%06d", p.Version), p); err != nil {
		return err
	}
	if err := s.write("policy", p); err != nil {
		return err
	}
	s.policy = p
	return nil
}

func (s *state) write(name string, v any) error {
	raw, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return writeDurable(filepath.Join(s.dir, name+".json"), raw)
}
