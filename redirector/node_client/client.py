"""Every call that the redirector makes to nodes, as one client over kept-open connections."""

from __future__ import annotations

from redirector.node_client.blobs import BlobCalls
from redirector.node_client.claims import ClaimCalls
from redirector.node_client.membership import MembershipCalls
from redirector.node_client.pools import PoolCalls
from redirector.node_client.sessions import SessionCalls
from redirector.node_client.stats import StatsCalls


class AgentClient(StatsCalls, ClaimCalls, SessionCalls, PoolCalls, MembershipCalls, BlobCalls):
    """Speaks to nodes. Safe to use from several threads."""
