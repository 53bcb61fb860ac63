package gateway

import (
	"context"
	"log/slog"
	"time"

	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// progressEvery is how often a progress leaf is written for a running recording.
const progressEvery = 5 * time.Minute

// announceProgress writes a progress leaf at each interval in which the recording has grown. A failure goes to the
// program's log only: if the gateway survives, the end of the recording proves the same.
func (s *Session) announceProgress(ctx context.Context) {
	tick := time.NewTicker(s.b.cfg.ProgressEvery)
	defer tick.Stop()
	seq := uint32(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p := s.rec.Progress()
		if s.leaf == nil || p.Seq == seq {
			continue
		}
		body, err := ledger.ProgressBody{Session: s.id, Open: *s.leaf, H: p.HFinal, Seq: p.Seq, AtMS: s.b.cfg.Now().UnixMilli()}.Marshal()
		if err == nil {
			_, err = s.b.cfg.Signer.Append(ctx, signer.AppendRequest{Type: "progress", Ref: []uint64{*s.leaf}, Body: body})
		}
		if err == nil {
			seq = p.Seq
		} else if ctx.Err() == nil {
			s.b.cfg.Log.Warn("the progress of a recording could not be announced", slog.String("session", s.id.String()), slog.Any("error", err))
		}
	}
}
