package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"

	"github.com/sallyport/sallyport/internal/enroll"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// putLogBack is the hint of each refusal of a log that is too short.
const putLogBack = "As the signer's user run `sallyport restore --log --config FILE`, which puts the log back " +
	"from [ledger] second_copy, then start again. " +
	"Without a copy that is long enough the log is lost: `log restart`, which begins another one, comes in a later " +
	"release."

// checkRestored refuses a log that does not continue the one that the restored backup has seen. At the first start
// after the restore it also applies later restrictions from the log.
func (g *Gateway) checkRestored(ctx context.Context, head []byte) error {
	r, err := signer.ReadRestored(g.opt.Config.Site.DataDir)
	if err != nil || r == nil {
		return err
	}
	keys, err := g.Signer.Keys(ctx)
	if err != nil {
		return err
	}
	seen, err := ledger.ParseCheckpoint(r.Checkpoint, keys.LogKey)
	if err != nil {
		return errkind.New(errkind.Conflict,
			"the backup that was restored here is of a gateway whose log has another key than the signer's").
			WithHint("Restore the signer's backup of the same gateway, or start both with empty directories.").
			Because(err)
	}
	now, err := ledger.ParseCheckpoint(head, keys.LogKey)
	if err != nil {
		return err
	}
	if now.Size < seen.Size {
		return errkind.New(errkind.Conflict,
			fmt.Sprintf("the log has %d entries, and the backup that was restored here has seen %d: "+
				"it is an older log, so the gateway does not serve", now.Size, seen.Size)).
			WithHint(putLogBack)
	}
	if err := g.extends(ctx, seen, now); err != nil {
		return err
	}
	if r.Examined > 0 {
		return nil
	}
	return g.catchUp(ctx, r, min(r.Since, seen.Size), now.Size)
}

func (g *Gateway) extends(ctx context.Context, seen, now ledger.Checkpoint) error {
	var proof [][32]byte
	if seen.Size > 0 && seen.Size < now.Size {
		hashes, err := g.Signer.ProveConsistency(ctx, seen.Size, now.Size)
		if err != nil {
			return err
		}
		for _, h := range hashes {
			proof = append(proof, h)
		}
	}
	if err := ledger.CheckConsistency(seen.Size, seen.Root, now.Size, now.Root, proof); err != nil {
		return errkind.New(errkind.Conflict,
			"the log does not continue the one that the backup has seen, so the gateway does not serve").
			WithHint(putLogBack).Because(err)
	}
	return nil
}

// catchUp reads the log's entries from before the backup's snapshot to its end. It applies their restrictions again,
// and records the sessions and devices that only the log has.
func (g *Gateway) catchUp(ctx context.Context, r *signer.Restored, from, to uint64) error {
	devices := map[wire.Hash]lastOfDevice{}
	for i := from; i < to; {
		entries, err := g.Signer.Entries(ctx, i)
		if err == nil && len(entries) == 0 {
			err = fmt.Errorf("the log ends before its entry %d", i)
		}
		if err != nil {
			return err
		}
		for _, e := range entries[:min(uint64(len(entries)), to-i)] {
			leaf, err := ledger.ParseLeaf(e.Leaf)
			if err == nil {
				err = g.catchUpOn(ctx, r, devices, leaf.Type, e.Body)
			}
			if err != nil {
				return fmt.Errorf("log entry %d: %w", i, err)
			}
			i++
		}
	}
	for fp, last := range devices {
		if err := g.catchUpDevice(ctx, r, fp, last); err != nil {
			return fmt.Errorf("device %s: %w", fp, err)
		}
	}
	slices.Sort(r.Devices)
	r.Examined = to
	if err := r.Write(g.opt.Config.Site.DataDir); err != nil {
		return err
	}
	g.opt.Log.Warn("restored from a backup", slog.Time("made", r.Made), slog.Uint64("entries_since", to-from),
		slog.Int("sessions_lost", len(r.Sessions)), slog.Int("devices_lost", len(r.Devices)))
	for _, s := range r.Sessions {
		g.opt.Log.Warn("a session is in the log and not in the database", slog.String("session", s))
	}
	for _, d := range r.Devices {
		g.opt.Log.Warn("a device was admitted after the backup and must be enrolled again", slog.String("device", d))
	}
	return nil
}

func (g *Gateway) catchUpOn(
	ctx context.Context, r *signer.Restored, devices map[wire.Hash]lastOfDevice, typ string, raw []byte,
) error {
	if typ == "open" {
		body, err := ledger.ParseOpenBody(raw)
		if err != nil {
			return err
		}
		_, err = g.DB.Session(ctx, body.Session)
		if errors.Is(err, store.ErrNotFound) && body.Part == 0 {
			r.Sessions = append(r.Sessions, body.Session.String())
			return nil
		}
		return unlessMissing(err)
	}
	if !slices.Contains([]string{"join", "token", "revoked", "locked", "admitted", "label"}, typ) {
		return nil
	}
	body, err := ledger.ParseEventBody(raw)
	if err != nil {
		return err
	}
	var fp wire.Hash
	switch {
	case typ == "token" && body.Fields["revoked"] == "yes":
		return unlessMissing(g.DB.RevokeAPIToken(ctx, body.Fields["id"], r.At))
	case typ == "join" && body.Fields["what"] == "code revoked":
		code, err := enroll.ParseTokenID(body.Fields["subject"])
		if err != nil {
			return err
		}
		return unlessMissing(g.DB.RevokeJoinToken(ctx, code, r.At, "the log"))
	case typ != "token" && typ != "join" && fp.UnmarshalText([]byte(body.Fields["fp"])) == nil:
		devices[fp] = devices[fp].and(typ, body)
	}
	return nil
}

// lastOfDevice is what the log says of a device.
type lastOfDevice struct {
	state  string            // "locked", "revoked", or "admitted" after it was admitted again
	why    string            // of that state
	name   string            // of the device
	placed map[string]string // fields of its newest admission or labels; nil: none
}

func (l lastOfDevice) and(typ string, body ledger.EventBody) lastOfDevice {
	l.name = body.Fields["device"]
	if typ == "label" || typ == "admitted" {
		l.placed = body.Fields
	}
	if typ != "label" && l.state != string(store.Revoked) {
		l.state, l.why = typ, body.Fields["why"]
	}
	return l
}

// catchUpDevice restricts a device again and gives it the site and labels that it was given last: an older label may
// grant rights that were revoked. It does not add a device that was admitted after the backup: that device must be
// enrolled again.
func (g *Gateway) catchUpDevice(ctx context.Context, r *signer.Restored, fp wire.Hash, last lastOfDevice) error {
	_, err := g.DB.ChangeDevice(ctx, fp, func(d *store.Device) error {
		if d.State == store.Revoked {
			return nil
		}
		if last.placed != nil {
			d.Site, d.Labels = last.placed["site"], signer.LabelsOf(last.placed)
		}
		if last.state == string(store.Locked) || last.state == string(store.Revoked) {
			d.State, d.StateAt, d.StateBy, d.StateWhy = store.DeviceState(last.state), r.At, "the log", last.why
		}
		return nil
	})
	if errors.Is(err, store.ErrNotFound) && last.placed != nil && last.state != string(store.Revoked) {
		r.Devices = append(r.Devices, last.name)
	}
	return unlessMissing(err)
}

func unlessMissing(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// keysThere refuses to make new keys for a gateway that had some: devices would not accept them, and its recordings
// could not be opened.
func (g *Gateway) keysThere(ctx context.Context) error {
	_, known, err := g.DB.Devices(ctx, store.DeviceFilter{})
	if err != nil || known == 0 {
		return err
	}
	names := []string{"noise.key", "record.key"}
	if g.opt.Config.Recording.ArchiveKey == "" {
		names = append(names, "archive.txt")
	}
	for _, name := range names {
		path := g.path("keys", name)
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return errkind.New(errkind.Conflict,
				fmt.Sprintf("%s is missing, although the database knows %d devices", path,
					known)).
				WithHint("Put it back from the gateway's backup, into an empty data_dir: " +
					"`sallyport restore --config FILE --from DIR --identity KEY`.")
		}
	}
	return nil
}
