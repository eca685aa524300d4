/** Which address shows which page. Pages other than the first are loaded when they are opened. */

import { lazy, Suspense } from 'react';
import { Redirect, Route, Switch } from 'wouter';
import { NowPage } from '../pages/now/NowPage.tsx';
import { Page } from '../ui/Page.tsx';
import { Empty, Skeleton } from '../ui/States.tsx';
import { ErrorBoundary } from './ErrorBoundary.tsx';

const CampaignsPage = lazy(() => import('../pages/campaigns/CampaignsPage.tsx'));
const CampaignPage = lazy(() => import('../pages/campaign/CampaignPage.tsx'));

export function Pages() {
  return (
    <ErrorBoundary>
      <Suspense fallback={<Waiting />}>
        <Switch>
          <Route path="/">
            <Redirect to="/now" replace />
          </Route>
          <Route path="/now" component={NowPage} />
          <Route path="/campaigns" component={CampaignsPage} />
          <Route path="/campaigns/:id">{(params) => <CampaignPage key={params.id} id={params.id} />}</Route>
          <Route>
            <Page title="Not found">
              <Empty title="There is no such page">Choose one from the navigation.</Empty>
            </Page>
          </Route>
        </Switch>
      </Suspense>
    </ErrorBoundary>
  );
}

function Waiting() {
  return (
    <Page title="Loading">
      <Skeleton what="the page" lines={6} />
    </Page>
  );
}
