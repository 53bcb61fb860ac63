package writer

import "fmt"

// checkpoint is what must be durable in the session files before a half of the journal is used again.
type checkpoint struct {
	epoch uint64
	files []*Recording
}

// rotate goes on in the other half of the journal, and has the files of this one made durable. It waits
// until the other one is free: this is where a disk that cannot keep up slows everybody down.
func (n *Node) rotate() {
	j := n.jr
	if j.busy {
		<-j.freed
	}
	c := checkpoint{epoch: j.epoch}
	for r := range j.dirty {
		c.files = append(c.files, r)
	}
	clear(j.dirty)
	j.busy = true
	j.jobs <- c
	j.which, j.pos = 1-j.which, 0
	j.epoch++
}

// rotateEarly is the checkpoint by the clock. It never waits.
func (n *Node) rotateEarly() {
	j := n.jr
	if j.busy {
		select {
		case <-j.freed:
			j.busy = false
		default:
			return
		}
	}
	if j.pos > 0 {
		n.rotate()
	}
}

// checkpoints runs until the committer has stopped.
func (n *Node) checkpoints() {
	for c := range n.jr.jobs {
		if err := n.checkpoint(c); err != nil {
			n.fail(err)
		}
		n.jr.freed <- struct{}{}
	}
}

// checkpoint makes the files durable. Those that were finished in this epoch are closed: nothing comes
// after.
func (n *Node) checkpoint(c checkpoint) error {
	for _, r := range c.files {
		if n.failed() != nil {
			return nil // no sync after a failed one would mean anything
		}
		if err := r.f.Datasync(); err != nil {
			return &syncError{r.name, err}
		}
		if r.lastEpoch.Load() == c.epoch {
			if err := r.f.Close(); err != nil {
				return &syncError{r.name, fmt.Errorf("close: %w", err)}
			}
		}
	}
	return nil
}
