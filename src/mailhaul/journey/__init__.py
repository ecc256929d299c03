"""The durable course of every mailbox and of the plan, from check to completion.

Import from the modules; nothing is re-exported. Only `dbos_engine` knows the workflow engine.
"""
