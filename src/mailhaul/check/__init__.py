"""Before anything is moved: looks at every mailbox and says what will go wrong. Changes nothing."""
