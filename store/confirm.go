package store

import "context"

// confirm reads a page again from the master if a replica's would tell of a
// gap: the replica may only be behind, or the key on its way to another node of
// the cluster. What the master has counts; while it cannot be asked there is an
// error, the position stays, and nobody is told of a loss.
func (h *history) confirm(ctx context.Context, w *window, pos ID, p *page, count int) (*page, error) {
	master, err := h.store.topo.authority(ctx)
	if err != nil {
		return nil, err
	}
	if master == nil {
		return p, nil
	}
	return h.pageFrom(ctx, master, w, pos, count)
}

// lookForMissing looks on the master for a stream that a replica does not have.
// To take it for one without entries would replay all of it as new, if it were
// only on its way to another node of the cluster. If the master cannot be asked,
// the replica's word counts. entries and f are as for look.
func (h *history) lookForMissing(ctx context.Context, key string, entries []any, f func(rawEntry)) streamInfo {
	master, err := h.store.topo.authority(ctx)
	if err != nil || master == nil {
		return streamInfo{}
	}
	info, _, err := h.look(ctx, master, key, entries, h.store.keeper(ID{}, nil), f)
	if err != nil {
		return streamInfo{}
	}
	return info
}
