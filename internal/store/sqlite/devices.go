package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

const deviceColumns = `name, site, state, state_at, state_by, state_why, host_key, noise_key, generation, renewing,
	serial, host_name, os, agent, join_token, enrolled_at, admitted_by, admitted_at, dispute,
	last_seen, last_addr, connected_at, node, boot, tunnel, frozen, clock_skew, epoch, log_size, protocol`

const selectDevice = "SELECT fp, " + deviceColumns +
	", (SELECT json_group_object(key,value) FROM device_labels WHERE device_labels.fp=devices.fp) FROM devices"

func scanDevice(r scanner, d *store.Device) error {
	var name string
	err := r.Scan(fixed(d.FP[:]), &name, &d.Site, &d.State, at(&d.StateAt), &d.StateBy, &d.StateWhy, &d.HostKey, fixed(d.NoiseKey[:]),
		&d.Generation, &d.Renewing, &d.Serial, &d.HostName, &d.OS, &d.Agent, fixed(d.JoinToken[:]), at(&d.EnrolledAt),
		&d.AdmittedBy, at(&d.AdmittedAt), asJSON(&d.Dispute), at(&d.LastSeen), &d.LastAddr, at(&d.ConnectedAt), &d.Node, &d.Boot,
		&d.Tunnel, &d.Frozen, &d.ClockSkew, &d.Epoch, &d.LogSize, &d.Protocol, asJSON(&d.Labels))
	d.Name = id.Device(name)
	if len(d.Labels) == 0 {
		d.Labels = nil
	}
	return err
}

// deviceArgs follow deviceColumns.
func deviceArgs(d store.Device) ([]any, error) {
	var dispute any
	if d.Dispute != nil {
		raw, err := json.Marshal(d.Dispute)
		if err != nil {
			return nil, fmt.Errorf("store dispute: %w", err)
		}
		dispute = string(raw)
	}
	return []any{string(d.Name), d.Site, string(d.State), micros(d.StateAt), d.StateBy, d.StateWhy, d.HostKey, d.NoiseKey[:], d.Generation, d.Renewing,
		d.Serial, d.HostName, d.OS, d.Agent, d.JoinToken[:], micros(d.EnrolledAt), d.AdmittedBy, micros(d.AdmittedAt), dispute,
		micros(d.LastSeen), d.LastAddr, micros(d.ConnectedAt), d.Node, d.Boot, d.Tunnel, d.Frozen, int64(d.ClockSkew), d.Epoch, d.LogSize, d.Protocol}, nil
}

func addDevice(ctx context.Context, tx *sql.Tx, d store.Device) error {
	args, err := deviceArgs(d)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, insert("devices", deviceColumns+", fp"), append(args, d.FP[:])...); err != nil {
		return err
	}
	return putLabels(ctx, tx, d)
}

func putLabels(ctx context.Context, tx *sql.Tx, d store.Device) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM device_labels WHERE fp=?", d.FP[:]); err != nil {
		return err
	}
	for _, k := range slices.Sorted(maps.Keys(d.Labels)) {
		if _, err := tx.ExecContext(ctx, "INSERT INTO device_labels (fp, key, value) VALUES (?,?,?)", d.FP[:], k, d.Labels[k]); err != nil {
			return err
		}
	}
	return nil
}

// AddDevice stores a new device.
func (db *DB) AddDevice(ctx context.Context, d store.Device) error {
	return db.tx(ctx, "store device", func(tx *sql.Tx) error { return addDevice(ctx, tx, d) })
}

// Device reads one by name; of several only revoked ones, the newest.
func (db *DB) Device(ctx context.Context, name id.Device) (store.Device, error) {
	return one(ctx, db.read, "device", string(name), scanDevice,
		selectDevice+" WHERE name=? ORDER BY state='revoked', enrolled_at DESC LIMIT 1", string(name))
}

// DeviceByFP reads one by the hash of its SSH host key.
func (db *DB) DeviceByFP(ctx context.Context, fp [32]byte) (store.Device, error) {
	return one(ctx, db.read, "device with key", short(fp), scanDevice, selectDevice+" WHERE fp=?", fp[:])
}

// DeviceByNoise reads one by the static key that a control line proved.
func (db *DB) DeviceByNoise(ctx context.Context, key [32]byte) (store.Device, error) {
	return one(ctx, db.read, "device with key", short(key), scanDevice, selectDevice+" WHERE noise_key=?", key[:])
}

// Devices lists a page, newest first, and the number there is in all.
func (db *DB) Devices(ctx context.Context, f store.DeviceFilter) ([]store.Device, int, error) {
	var w where
	if f.Text != "" {
		w.text(f.Text, "name", "site", "serial", "(SELECT group_concat(value,' ') FROM device_labels WHERE device_labels.fp=devices.fp)")
	}
	if f.Site != "" {
		w.add("site=?", f.Site)
	}
	if f.Sites != nil {
		in(&w, "site", f.Sites)
	}
	if f.States != nil {
		in(&w, "state", f.States)
	}
	total, err := count(ctx, db.read, "devices", &w)
	if err != nil {
		return nil, 0, err
	}
	n, skip := f.Page.Window()
	out, err := list(ctx, db.read, "list devices", scanDevice,
		selectDevice+w.String()+" ORDER BY enrolled_at DESC, fp LIMIT ? OFFSET ?", append(w.args, n, skip)...)
	return out, total, err
}

// AllDevices gives every device that is not revoked: what policy, signer and registry are filled from at a start.
func (db *DB) AllDevices(ctx context.Context) ([]store.Device, error) {
	return list(ctx, db.read, "list devices", scanDevice, selectDevice+" WHERE state<>'revoked' ORDER BY enrolled_at DESC, fp")
}

// RevokedDevices gives every device that is revoked. Each enrolment since is a row of its own: several may have one name.
func (db *DB) RevokedDevices(ctx context.Context) ([]store.Device, error) {
	return list(ctx, db.read, "list revoked devices", scanDevice, selectDevice+" WHERE state='revoked' ORDER BY enrolled_at DESC, fp")
}

// ChangeDevice lets change edit the row, labels too, in one transaction, which stores the events as well. FP stays as
// it is.
func (db *DB) ChangeDevice(ctx context.Context, fp [32]byte, change func(*store.Device) error,
	events ...store.AuditEvent) (store.Device, error) {
	var d store.Device
	err := db.tx(ctx, "change device", func(tx *sql.Tx) (err error) {
		d, err = one(ctx, tx, "device with key", short(fp), scanDevice, selectDevice+" WHERE fp=?", fp[:])
		if err != nil {
			return err
		}
		if err := change(&d); err != nil {
			return err
		}
		d.FP = fp
		args, err := deviceArgs(d)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, update("devices", deviceColumns, "fp=?"), append(args, fp[:])...); err != nil {
			return err
		}
		if err := putLabels(ctx, tx, d); err != nil {
			return err
		}
		return addEvents(ctx, tx, events)
	})
	if err != nil {
		return store.Device{}, err
	}
	return d, nil
}

const setPresence = `UPDATE devices SET last_seen=?, connected_at=?, node=?,
		last_addr=CASE WHEN ?='' THEN last_addr ELSE ? END, boot=CASE WHEN ?='' THEN boot ELSE ? END,
		agent=CASE WHEN ?='' THEN agent ELSE ? END, tunnel=CASE WHEN ?='' THEN tunnel ELSE ? END,
		frozen=?, clock_skew=?, epoch=max(epoch,?), log_size=max(log_size,?),
		protocol=CASE WHEN ?=0 THEN protocol ELSE ? END WHERE fp=?`

func presenceArgs(fp [32]byte, p store.Presence) []any {
	connected := any(nil)
	if p.Connected {
		connected = micros(p.At)
	}
	return []any{micros(p.At), connected, p.Node, p.Addr, p.Addr, p.Boot, p.Boot, p.Agent, p.Agent, p.Tunnel, p.Tunnel,
		p.Frozen, int64(p.ClockSkew), p.Epoch, p.LogSize, p.Protocol, p.Protocol, fp[:]}
}

// SetPresence stores that a device's line came up or went down. Agent, boot and tunnel of a line that
// is gone stay as last known.
func (db *DB) SetPresence(ctx context.Context, fp [32]byte, p store.Presence) error {
	n, err := db.exec(ctx, "store presence", setPresence, presenceArgs(fp, p)...)
	return touched(n, err, "device with key", short(fp))
}

// SetPresences stores many in one transaction: after a restart every device comes back within seconds, and one commit
// each would be one sync of the disk each. Devices that are not there are passed over.
func (db *DB) SetPresences(ctx context.Context, all map[[32]byte]store.Presence) error {
	return db.tx(ctx, "store presence", func(tx *sql.Tx) error {
		stmt, err := tx.PrepareContext(ctx, setPresence)
		if err != nil {
			return err
		}
		defer stmt.Close()
		for fp, p := range all {
			if _, err := stmt.ExecContext(ctx, presenceArgs(fp, p)...); err != nil {
				return err
			}
		}
		return nil
	})
}

// DisconnectAll marks the lines of a node as gone: a gateway that starts again has none.
func (db *DB) DisconnectAll(ctx context.Context, node string, when time.Time) (int, error) {
	n, err := db.exec(ctx, "clear presence", "UPDATE devices SET connected_at=NULL, last_seen=? WHERE connected_at IS NOT NULL AND node=?", when.UnixMicro(), node)
	return int(n), err
}
