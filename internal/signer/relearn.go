package signer

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// relearned is what the log says about the objects of the signer's state. The state may come from a backup, and the log
// never does, so a right that was revoked after the backup must stay revoked. Restrictions are taken from the log, and
// the site and labels that a device was given last, and the owners that a site was given last: the signer wrote those
// leaves on an administrator's evidence, and older labels or owners may grant rights that the newer ones took away. Nothing else that grants rights is taken from the log.
type relearned struct {
	devices map[string]string            // fingerprint: the newest restriction; empty after it was lifted
	placed  map[string]map[string]string // fingerprint: fields of the newest admission or labels
	tokens  map[string]bool              // ids of revoked API tokens
	policy  uint64                       // newest version

	withdrawn map[string]bool   // requests
	sites     map[string]Site   // with the newest owners
	settled   map[string]uint64 // proposals: the newest leaf that confirms or withdraws it

	administered map[id.Principal]time.Time // who last made or proposed a change
}

// saw records one leaf. It skips bodies that cannot be read: they belong to types that are not restrictions.
func (r *relearned) saw(index uint64, typ string, body []byte) {
	if !slices.Contains([]string{"admitted", "label", "revoked", "locked", "token", "policy", "withdrawn", ownersLeaf, mappingLeaf, proposedLeaf, droppedLeaf}, typ) {
		return
	}
	b, err := ledger.ParseEventBody(body)
	if err != nil {
		return
	}
	if proposal := b.Fields["proposal"]; proposal != "" && typ != proposedLeaf {
		r.settled[proposal] = index
	}
	if slices.Contains([]string{"admitted", "label", "policy", ownersLeaf, mappingLeaf, proposedLeaf}, typ) {
		if who, err := id.ParsePrincipal(b.By); err == nil {
			r.administered[who] = time.UnixMilli(b.AtMS)
		}
	}
	fp := b.Fields["fp"]
	switch typ {
	case "revoked":
		r.devices[fp] = wire.StateRevoked
	case "locked":
		if r.devices[fp] != wire.StateRevoked {
			r.devices[fp] = wire.StateLocked
		}
	case "admitted", "label":
		r.placed[fp] = b.Fields
		if r.devices[fp] != wire.StateRevoked {
			delete(r.devices, fp)
		}
	case "token":
		if b.Fields["revoked"] == "yes" {
			r.tokens[b.Fields["id"]] = true
		}
	case ownersLeaf:
		site := Site{Name: b.Fields["subject"], Owners: ownersOf(b)}
		r.sites[site.Name] = site
	case "withdrawn":
		r.withdrawn[b.Fields["request"]] = true
	case "policy":
		if n, err := strconv.ParseUint(b.Fields["version"], 10, 32); err == nil {
			r.policy = max(r.policy, n)
		}
	}
}

// readLog reads the log once, and gives the sessions without an end and the revoked rights.
func readLog(log *ledger.Log) (*unended, *relearned, error) {
	u := &unended{open: map[uint64]*beginning{}}
	further := map[uint64][]uint64{} // pass leaves, by their open leaf
	r := &relearned{devices: map[string]string{}, placed: map[string]map[string]string{}, tokens: map[string]bool{},
		withdrawn: map[string]bool{}, sites: map[string]Site{}, settled: map[string]uint64{}, administered: map[id.Principal]time.Time{}}
	for i := range log.Head().Size {
		raw, _, body, err := log.Entry(i)
		if err != nil {
			return nil, nil, err
		}
		leaf, err := ledger.ParseLeaf(raw)
		if err != nil {
			return nil, nil, fmt.Errorf("log entry %d: %w", i, err)
		}
		u.saw(i, leaf.Type, leaf.Ref, nil)
		r.saw(i, leaf.Type, body)
		if leaf.Type == "pass" && len(leaf.Ref) == 1 {
			further[leaf.Ref[0]] = append(further[leaf.Ref[0]], i)
		}
	}
	for i := range u.open { // few have no end, so only their bodies are parsed
		if err := u.reread(log, i, further[i]); err != nil {
			return nil, nil, err
		}
	}
	return u, r, nil
}

// reread takes in the bodies of an open leaf and of its pass leaves.
func (u *unended) reread(log *ledger.Log, open uint64, passes []uint64) error {
	_, _, body, err := log.Entry(open)
	if err != nil {
		return err
	}
	u.saw(open, "open", nil, body)
	for _, i := range passes {
		if _, _, body, err = log.Entry(i); err != nil {
			return err
		}
		u.saw(i, "pass", []uint64{open}, body)
	}
	return nil
}

// relearn applies restrictions that are in the log and not in the state, as after a restore, or after a crash between a
// leaf and its file.
func (s *Service) relearn(r *relearned) error {
	log := cmp.Or(s.cfg.Log, slog.New(slog.DiscardHandler))
	for _, d := range s.state.devices {
		if err := s.relearnDevice(d, r, log); err != nil {
			return err
		}
	}
	for _, t := range s.state.tokens {
		if t.Revoked || !r.tokens[t.ID] {
			continue
		}
		t.Revoked = true
		if err := s.state.putToken(t); err != nil {
			return err
		}
		log.Warn("an API token was revoked after this state was saved, and is revoked again",
			slog.String("token", t.ID))
	}
	for request, c := range s.state.consents {
		if c.Withdrawn || !r.withdrawn[request] {
			continue
		}
		c.Withdrawn = true
		if err := s.state.putConsent(request, c); err != nil {
			return err
		}
		log.Warn("a grant was withdrawn after this state was saved, and is withdrawn again", slog.String("request", request))
	}
	if err := s.relearnSites(r, log); err != nil {
		return err
	}
	for proposal, p := range s.state.proposals {
		if r.settled[proposal] > p.Leaf { // confirmed or withdrawn
			if err := s.state.dropProposal(proposal); err != nil {
				return err
			}
		}
	}
	s.administered = r.administered
	s.lost = r.unknown(s.state)
	if s.policySeen = r.policy; r.policy > s.state.policy.Version {
		log.Error("the log names a newer policy than the one that is stored: "+
			"apply it again with `sallyport policy apply`",
			slog.Uint64("stored", s.state.policy.Version), slog.Uint64("newest", r.policy))
	}
	return nil
}

// unknown gives the devices that the log names and the state does not, as after a restore, with their site and labels, and
// revoked if the log says so.
func (r *relearned) unknown(s *state) map[string]Device {
	out := map[string]Device{}
	for fp, fields := range r.placed {
		out[fp] = Device{Name: id.Device(fields["device"]), Site: fields["site"], Labels: LabelsOf(fields)}
	}
	for fp, state := range r.devices {
		d := out[fp]
		d.State = state
		out[fp] = d
	}
	for fp := range s.devices {
		delete(out, fp.String())
	}
	return out
}

func (s *Service) relearnSites(r *relearned, log *slog.Logger) error {
	for name, newest := range r.sites {
		if slices.Equal(s.state.sites[name].Owners, newest.Owners) {
			continue
		}
		if err := s.state.putSite(newest); err != nil {
			return err
		}
		log.Warn("the owners of a site were changed after this state was saved, and are changed again as the log says", slog.String("site", name))
	}
	return nil
}

func (s *Service) relearnDevice(d Device, r *relearned, log *slog.Logger) error {
	if d.State == wire.StateRevoked {
		return nil
	}
	fp := d.FP.String()
	next := d
	if want := r.devices[fp]; want != "" {
		next.State = want
	}
	if fields := r.placed[fp]; fields != nil {
		next.Site, next.Labels = fields["site"], LabelsOf(fields)
	}
	if next.State == d.State && next.Site == d.Site && maps.Equal(next.Labels, d.Labels) {
		return nil
	}
	next.Epoch, next.Revision = nextEpoch(d.Epoch, s.cfg.Now()), d.Revision+1
	if err := s.state.putDevice(next); err != nil {
		return err
	}
	log.Warn("a device was changed after this state was saved, and is changed again as the log says",
		slog.String("device", string(d.Name)), slog.String("state", next.State), slog.Any("labels", next.Labels))
	return nil
}

// LabelsOf gives a device's labels, name to value, from the fields of the leaf that admitted it or changed its labels.
// The map is empty, never nil, if there are none.
func LabelsOf(fields map[string]string) map[string]string {
	out := map[string]string{}
	for key, value := range fields {
		if name, ok := strings.CutPrefix(key, labelField); ok {
			out[name] = value
		}
	}
	return out
}

// labelField is the prefix of a label's name in a leaf's fields.
const labelField = "label."
