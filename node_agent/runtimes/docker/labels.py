"""The labels by which a node finds its containers and volumes on an engine.

Labels hold no key: everyone who may use the engine sees them.
"""

NODE_LABEL = "tmpnb.node"
"""The node's name, for people who look at the engine. A node may be renamed, and two may bear one name."""
RUN_LABEL = "tmpnb.run_dir"
"""The run directory of the node that a container belongs to. Two nodes may share an engine, but not a run directory:
one of them holds its lock."""
POOL_LABEL = "tmpnb.pool"
SANDBOX_LABEL = "tmpnb.sandbox"
IMAGE_LABEL = "tmpnb.image"
CONTENT_LABEL = "tmpnb.content"
"""The digest of the blob that the home was made with; missing where there is none."""
PROBE_LABEL = "tmpnb.probe"
"""The run directory of the node that a container belongs to which only tries something out."""
