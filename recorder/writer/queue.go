package writer

import (
	"context"
	"fmt"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/seal"
)

// pending has the entries that wait to be sealed: their data end to end, and their heads.
type pending struct {
	data []byte
	es   []seal.Entry
	used int // of data, sealed already
	done int // of es
}

// How many bytes of a buffer are kept for the next entries. Output at full speed needs full chunks with the heads of
// their frames. Input needs sealed bytes, together with revealed bytes of earlier input. Rest frees the buffers.
const (
	keepBuffer  = 2 * (seal.ChunkPlain + piece)
	keepEntries = 1 << 10
)

// add appends one entry's data.
func (p *pending) add(e seal.Entry, head, body []byte) {
	p.grow(len(head) + len(body))
	p.data = append(append(p.data, head...), body...)
	p.es = append(p.es, e)
}

// grow makes room for n bytes. It erases the old buffer, because there may be a password in it. It doubles only up to
// the size that is kept. Otherwise each part of a flood would make a larger buffer that is discarded.
func (p *pending) grow(n int) {
	need := len(p.data) + n
	if cap(p.data) >= need {
		return
	}
	size := max(2*cap(p.data), 512)
	if need <= keepBuffer {
		size = min(size, keepBuffer)
	}
	bigger := make([]byte, len(p.data), max(size, need))
	copy(bigger, p.data)
	clear(p.data)
	p.data = bigger
}

// rest gives the bytes that are not sealed yet.
func (p *pending) rest() ([]byte, []seal.Entry) { return p.data[p.used:], p.es[p.done:] }

func (p *pending) empty() bool { return p.done == len(p.es) }

// drop removes the first n entries, which are sealed, and erases their bytes.
func (p *pending) drop(n int) (counted int64) {
	size := 0
	for _, e := range p.es[p.done : p.done+n] {
		size += e.Size
		counted += counts(e)
	}
	clear(p.data[p.used : p.used+size])
	p.used += size
	p.done += n
	return counted
}

// recycle empties a used buffer for the next entries.
func (p *pending) recycle() pending {
	if cap(p.data) > keepBuffer || cap(p.es) > keepEntries {
		return pending{}
	}
	return pending{data: p.data[:0], es: p.es[:0]}
}

// item is one entry to record, before it has its time and place in the part.
type item struct {
	kind   format.Kind
	ch     uint32
	stream format.Stream
	actor  uint64
	at     uint64 // reveal: where its range begins
	begins bool   // the note that starts the channel
	screen bool   // the channel that begins has a terminal
	ends   bool   // the note that ends the channel's input
	fields []byte // clear fields before a body that is sealed
	body   []byte
}

// late reports whether the item may still be recorded after the session's streams have ended.
func (it item) late() bool {
	switch it.kind {
	case format.KindOutput, format.KindSealed, format.KindClear, format.KindResize, format.KindCommand:
		return false
	}
	return true
}

// counts gives the bytes that an entry takes of the limit on entries that are not durable yet. A reveal takes none: the
// limit on input without a verdict bounds reveals, and they never wait.
func counts(e seal.Entry) int64 {
	if e.Kind == format.KindReveal {
		return 0
	}
	return int64(e.Size)
}

// receipt names an entry and the batch that should make it durable.
type receipt struct {
	pos uint64
	b   *batch
}

// take adds an item to the queue once session and node have room for it. It copies the body.
func (r *Recording) take(ctx context.Context, it item) (receipt, error) {
	for {
		r.mu.Lock()
		if err := r.refuses(it.kind); err != nil {
			r.mu.Unlock()
			return receipt{}, err
		}
		if err := r.ordered(it); err != nil {
			r.mu.Unlock()
			return receipt{}, err
		}
		b := r.join() // if there is no room, its commit makes some
		n := int64(len(it.body))
		if (r.held == 0 || r.held+n <= r.n.cfg.PendingSession) && r.n.room(n) {
			r.add(it)
			pos := r.put
			r.mu.Unlock()
			return receipt{pos, b}, nil
		}
		r.mu.Unlock()
		if err := r.await(ctx, b.done, it.late()); err != nil {
			return receipt{}, err
		}
	}
}

// ordered refuses an item that would break the order of its channel (docs/recording-format.md, section 4, "Channels"),
// because the recording would not verify. The caller holds r.mu.
func (r *Recording) ordered(it item) error {
	ch, started := r.channels[it.ch]
	switch {
	case it.begins && started:
		return fmt.Errorf("channel %d is started already in the record", it.ch)
	case it.begins && len(r.channels) == format.MaxChannels:
		return errPart
	case it.begins, !it.ends && !it.kind.OfChannel():
		return nil
	case !started:
		return fmt.Errorf("nothing of channel %d is recorded before its start", it.ch)
	case ch.ended && (it.kind == format.KindSealed || it.kind == format.KindClear):
		return fmt.Errorf("no input of channel %d is recorded after its end", it.ch)
	case it.kind == format.KindResize && !ch.terminal:
		return fmt.Errorf("channel %d has no terminal, so no size of it is recorded", it.ch)
	}
	return nil
}

// await waits for c. An item that may come late also waits after the streams have ended.
func (r *Recording) await(ctx context.Context, c <-chan struct{}, late bool) error {
	stopped := r.stopped
	if late {
		stopped = nil
	}
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-stopped:
		return r.stopError()
	}
}

// add gives an item its time and place, and appends it to the queue. The caller holds r.mu.
func (r *Recording) add(it item) {
	e := seal.Entry{T: r.tick(), Kind: it.kind, Actor: it.actor}
	head := it.fields
	switch it.kind {
	case format.KindOutput, format.KindSealed, format.KindClear:
		s := streamID{it.ch, it.stream}
		it.at = r.offsets[s]
		r.offsets[s] += uint64(len(it.body))
		fallthrough
	case format.KindReveal:
		head = format.AppendStreamHead(nil, it.kind, it.ch, it.stream, it.at, it.actor)
	}
	if it.kind == format.KindSealed || it.fields != nil {
		e.Head = len(head)
	}
	if it.begins {
		r.channels[it.ch] = channel{terminal: it.screen}
	}
	if it.ends {
		r.channels[it.ch] = channel{r.channels[it.ch].terminal, true}
	}
	e.Size = len(head) + len(it.body)
	r.next.add(e, head, it.body)
	r.put++
	r.held += counts(e)
	r.n.hold(counts(e))
	if it.kind == format.KindSealed {
		r.judge.add(it)
	}
}

// join adds the recording to the batch that is being gathered. The caller holds r.mu.
func (r *Recording) join() *batch {
	if !r.queued {
		r.queued = true
		r.batch = r.n.join(r)
	}
	return r.batch
}

// wait returns when an entry is durable.
func (r *Recording) wait(ctx context.Context, at receipt) error {
	for {
		select {
		case <-at.b.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		r.mu.Lock()
		durable, err := r.durable >= at.pos, r.hard
		at.b = r.batch // the entry may be in a later batch, if the first was full
		r.mu.Unlock()
		if durable || err != nil {
			if durable {
				return nil
			}
			return err
		}
	}
}

// room reports whether n more bytes may wait.
func (n *Node) room(bytes int64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.pending == 0 || n.pending+bytes <= n.cfg.PendingAll
}

func (n *Node) hold(bytes int64) {
	n.mu.Lock()
	n.pending += bytes
	n.mu.Unlock()
}
