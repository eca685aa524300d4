/** Keeps one page's fault from taking the navigation away. */

import { Component, type ReactNode } from 'react';
import { Failed } from '../ui/States.tsx';

export class ErrorBoundary extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state = { error: null };

  static getDerivedStateFromError(error: Error): { error: Error } {
    return { error };
  }

  override render(): ReactNode {
    if (this.state.error === null) return this.props.children;
    return <Failed error={this.state.error} what="This page" retry={() => this.setState({ error: null })} />;
  }
}
