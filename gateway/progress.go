package gateway

import (
	"context"
	"log/slog"
	"time"

	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// progressEvery is how often the log is told how far a recording has come.
const progressEvery = 5 * time.Minute

// announceProgress writes a progress leaf now and then, while there is something new to say. One that cannot be written is
// said in the log of the program only: what it would prove is proven by the end, if the gateway lives to write it.
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
