# SPDX-License-Identifier: Apache-2.0
"""The agent's two Varlink sockets: the interfaces, a server that trusts no peer, and a client."""
